using System.Numerics.Tensors;
using TorchAO.Numerics;

namespace TorchAO.Models.Generation;

/// <summary>Chooses tokens from logits; the same seed and logits give the same tokens everywhere.</summary>
/// <remarks>Sums are in double precision; of equally likely tokens the lower id goes first. The vocabulary is never sorted.</remarks>
public sealed class TokenSampler
{
    private readonly GenerationOptions options;
    private readonly CounterRandom random;
    private readonly RankedTokens tokens = new();
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

    /// <summary>Gets whether the likeliest token is taken, and nothing but the logits decides which it is.</summary>
    internal bool IsGreedy => options.RepetitionPenalty == 1 && (options.Temperature == 0 || options.TopK == 1);

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
        if (logits.IsEmpty)
        {
            throw new ArgumentException("no logits, expected one a token.", nameof(logits));
        }

        // The first NaN, where there is one. It also takes +0 for more than -0, which the lower id must not depend on.
        int best = TensorPrimitives.IndexOfMax(logits);
        return float.IsNaN(logits[best])
            ? throw new ArgumentException(
                $"the logit of token {best} is NaN; the model's weights or activations are damaged, check them with eval.", nameof(logits))
            : logits[best] == 0 ? logits.IndexOf(0f) : best;
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
        Span<double> weights = tokens.Begin(logits.Length);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = (logits[i] - largest) / options.Temperature;
        }

        TensorPrimitives.Exp<double>(weights, weights);
        if (options.TopK is int most)
        {
            tokens.Keep(most);
        }

        double total = tokens.Sum();
        if (options.TopP < 1)
        {
            tokens.Keep(tokens.Reach(options.TopP * total));
            total = tokens.Sum();
        }

        // 32 random bits to the middle of their interval, so that neither end is ever met.
        double target = (random[drawn++] + 0.5) / 4294967296.0 * total;
        return tokens.At(tokens.Reach(target) - 1);
    }
}
