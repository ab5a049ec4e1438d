using TorchAO.Tensors;

namespace TorchAO.Formats;

/// <summary>What the group size of a config means for a weight: the same for all formats with groups.</summary>
internal static class GroupSizes
{
    /// <summary>Gets how many consecutive input features share one scale: the whole row for <see langword="null"/> or -1.</summary>
    public static long Resolve(long? groupSize, long inFeatures) => groupSize is null or -1 ? inFeatures : groupSize.Value;

    /// <summary>Says why a weight cannot be cut into groups, or <see langword="null"/> if it can.</summary>
    /// <exception cref="QuantizationException">No weight could be cut into groups of this size.</exception>
    public static string? ReasonToSkip(long? groupSize, in WeightFacts weight)
    {
        long resolved = Resolve(groupSize, weight.InFeatures);
        if (resolved <= 0 && groupSize is not null)
        {
            throw new QuantizationException(
                $"GroupSize is {groupSize}, expected a positive count of input features, or null (or -1) for one scale a row.");
        }

        return weight.InFeatures % resolved == 0
            ? null
            : $"in_features {weight.InFeatures} is not a multiple of GroupSize {resolved}; use {Near(resolved, weight.InFeatures)}, " +
              "or null for one scale a row";
    }

    // The three divisors nearest by ratio: group sizes are thought of in powers.
    private static string Near(long groupSize, long inFeatures)
    {
        var divisors = new List<long>();
        for (long low = 1; low * low <= inFeatures; low++)
        {
            if (inFeatures % low == 0)
            {
                divisors.Add(low);
                if (low * low != inFeatures)
                {
                    divisors.Add(inFeatures / low);
                }
            }
        }

        long[] near = [.. divisors.OrderBy(divisor => Math.Abs(Math.Log((double)divisor / groupSize))).Take(3).Order()];
        return near.Length == 1 ? $"{near[0]}" : $"{string.Join(", ", near[..^1])} or {near[^1]}";
    }
}
