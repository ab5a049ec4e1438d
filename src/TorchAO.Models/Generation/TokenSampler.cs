using TorchAO.Numerics;

namespace TorchAO.Models.Generation;

/// <summary>Chooses tokens from logits; the same seed and logits give the same tokens everywhere.</summary>
/// <remarks>Sums are in double precision over tokens in order of probability; of equals the lower id goes first.</remarks>
public sealed class TokenSampler
{
    private readonly GenerationOptions options;
    private readonly CounterRandom random;
    private ulong drawn;

    /// <summary>Creates a sampler.</summary>
    /// <exception cref="ArgumentException">An option makes no sense.</exception>
    public TokenSampler(GenerationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        this.options = options;
        random = new CounterRandom(options.Seed);
    }

    /// <summary>Chooses a token.</summary>
    /// <param name="logits">The scores of all tokens; changed where there is a penalty.</param>
    /// <param name="seen">The tokens so far, for the penalty.</param>
    /// <exception cref="ArgumentException">There are no logits, or one is NaN.</exception>
    public int Sample(Span<float> logits, IReadOnlyCollection<int> seen)
    {
        ArgumentNullException.ThrowIfNull(seen);
        if (options.RepetitionPenalty != 1)
        {
            Penalize(logits, seen);
        }

        int likeliest = Likeliest(logits);
        return options.Temperature == 0 || options.TopK == 1 ? likeliest : Draw(logits, logits[likeliest]);
    }

    private static int Likeliest(ReadOnlySpan<float> logits)
    {
        int best = -1;
        for (int i = 0; i < logits.Length; i++)
        {
            if (float.IsNaN(logits[i]))
            {
                throw new ArgumentException(
                    $"the logit of token {i} is NaN; the model's weights or activations are damaged, check them with eval.", nameof(logits));
            }

            if (best < 0 || logits[i] > logits[best])
            {
                best = i;
            }
        }

        return best >= 0 ? best : throw new ArgumentException("no logits, expected one a token.", nameof(logits));
    }

    private void Penalize(Span<float> logits, IReadOnlyCollection<int> seen)
    {
        foreach (int id in seen.Distinct().Where(id => id >= 0))
        {
            if (id < logits.Length)
            {
                double logit = logits[id];
                logits[id] = (float)(logit > 0 ? logit / options.RepetitionPenalty : logit * options.RepetitionPenalty);
            }
        }
    }

    private int Draw(ReadOnlySpan<float> logits, float largest)
    {
        (double Weight, int Id)[] candidates = new (double, int)[logits.Length];
        for (int i = 0; i < candidates.Length; i++)
        {
            candidates[i] = (Math.Exp((logits[i] - largest) / options.Temperature), i);
        }

        Array.Sort(candidates, static (a, b) => a.Weight != b.Weight ? b.Weight.CompareTo(a.Weight) : a.Id.CompareTo(b.Id));
        ReadOnlySpan<(double Weight, int Id)> kept = candidates.AsSpan(0, Math.Min(options.TopK ?? candidates.Length, candidates.Length));
        kept = Nucleus(kept);
        double total = Sum(kept);

        // 32 random bits to the middle of their interval, so that neither end is ever met.
        double target = (random[drawn++] + 0.5) / 4294967296.0 * total;
        foreach ((double weight, int id) in kept)
        {
            target -= weight;
            if (target < 0)
            {
                return id;
            }
        }

        return kept[^1].Id;
    }

    private ReadOnlySpan<(double Weight, int Id)> Nucleus(ReadOnlySpan<(double Weight, int Id)> candidates)
    {
        if (options.TopP >= 1)
        {
            return candidates;
        }

        double wanted = options.TopP * Sum(candidates);
        double sum = 0;
        for (int i = 0; i < candidates.Length; i++)
        {
            sum += candidates[i].Weight;
            if (sum >= wanted)
            {
                return candidates[..(i + 1)];
            }
        }

        return candidates;
    }

    private static double Sum(ReadOnlySpan<(double Weight, int Id)> candidates)
    {
        double sum = 0;
        foreach ((double weight, _) in candidates)
        {
            sum += weight;
        }

        return sum;
    }
}
