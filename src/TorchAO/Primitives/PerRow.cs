namespace TorchAO.Primitives;

/// <summary>One scale for each row: for all elements of the last dimension.</summary>
public sealed record PerRow : Granularity
{
    /// <inheritdoc/>
    public override long[] BlockSize(IReadOnlyList<long> shape)
    {
        CheckRank(shape, nameof(PerRow));
        return LastOnly(shape, shape[^1]);
    }
}
