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
            : $"in_features {weight.InFeatures} is not a multiple of the group size {resolved}";
    }
}
