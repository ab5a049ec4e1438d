namespace TorchAO.Primitives;

/// <summary>How many elements share one scale.</summary>
/// <remarks>A granularity is a rule; <see cref="BlockSize"/> applies it to a shape. Block sizes have one entry for each
/// dimension: how many neighbours along it share a scale.</remarks>
public abstract record Granularity
{
    private protected Granularity()
    {
    }

    /// <summary>Computes the block size for a tensor of some shape.</summary>
    /// <exception cref="QuantizationException">The rule does not fit the shape.</exception>
    public abstract long[] BlockSize(IReadOnlyList<long> shape);

    private protected static void CheckRank(IReadOnlyList<long> shape, string rule)
    {
        ArgumentNullException.ThrowIfNull(shape);
        if (shape.Count == 0)
        {
            throw new QuantizationException(
                $"{rule} got a scalar: expected a tensor with at least one dimension. Use PerTensor for a scalar.");
        }
    }

    private protected static long[] LastOnly(IReadOnlyList<long> shape, long last)
    {
        long[] block = new long[shape.Count];
        Array.Fill(block, 1);
        block[^1] = last;
        return block;
    }
}
