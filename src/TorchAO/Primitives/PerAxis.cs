namespace TorchAO.Primitives;

/// <summary>One scale for each index along one dimension.</summary>
/// <param name="Axis">The dimension that keeps its scales; negative counts from the end.</param>
public sealed record PerAxis(int Axis) : Granularity
{
    /// <inheritdoc/>
    public override long[] BlockSize(IReadOnlyList<long> shape)
    {
        CheckRank(shape, ToString());
        int axis = Axis < 0 ? Axis + shape.Count : Axis;
        if (axis < 0 || axis >= shape.Count)
        {
            throw new QuantizationException(
                $"{this} got a tensor of shape [{string.Join(", ", shape)}]: expected an axis from {-shape.Count} to " +
                $"{shape.Count - 1}.");
        }

        long[] block = [.. shape];
        block[axis] = 1;
        return block;
    }
}
