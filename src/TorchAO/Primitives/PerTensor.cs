namespace TorchAO.Primitives;

/// <summary>One scale for the whole tensor.</summary>
public sealed record PerTensor : Granularity
{
    /// <inheritdoc/>
    public override long[] BlockSize(IReadOnlyList<long> shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        return [.. shape];
    }
}
