namespace TorchAO.Primitives;

/// <summary>One scale for each token of activations <c>[…, K]</c>: the same blocks as <see cref="PerRow"/>.</summary>
public sealed record PerToken : Granularity
{
    /// <inheritdoc/>
    public override long[] BlockSize(IReadOnlyList<long> shape)
    {
        CheckRank(shape, nameof(PerToken));
        return LastOnly(shape, shape[^1]);
    }
}
