namespace TorchAO.Primitives;

/// <summary>One scale for each group of neighbours along the last dimension.</summary>
/// <param name="Size">Elements of a group; must divide the last dimension.</param>
public sealed record PerGroup(long Size) : Granularity
{
    /// <inheritdoc/>
    public override long[] BlockSize(IReadOnlyList<long> shape)
    {
        CheckRank(shape, ToString());
        return Size > 0 && shape[^1] % Size == 0
            ? LastOnly(shape, Size)
            : throw new QuantizationException(
                $"{this} got a tensor of shape [{string.Join(", ", shape)}]: expected a positive size that divides the " +
                $"last dimension, {shape[^1]}. Choose a divisor of it.");
    }
}
