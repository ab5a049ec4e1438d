namespace TorchAO.Primitives;

/// <summary>The view under which every block of a tensor is a reduction over some of its dimensions.</summary>
/// <remarks>Dimension i of size n in blocks of b, 1 &lt; b &lt; n, becomes (n / b, b) and the second is reduced; a
/// dimension that is one block is reduced whole; one of blocks of one is kept.</remarks>
internal sealed class BlockLayout
{
    public BlockLayout(IReadOnlyList<long> shape, IReadOnlyList<long> blockSize)
    {
        ArgumentNullException.ThrowIfNull(shape);
        ArgumentNullException.ThrowIfNull(blockSize);
        if (shape.Count != blockSize.Count)
        {
            throw new QuantizationException(
                $"Block size [{string.Join(", ", blockSize)}] got a tensor of shape [{string.Join(", ", shape)}]: " +
                "expected one entry for each dimension. Take it from a Granularity.");
        }

        List<long> view = [];
        List<long> kept = [];
        List<long> reduced = [];
        for (int i = 0; i < shape.Count; i++)
        {
            Check(shape, blockSize, i);
            long block = blockSize[i];
            bool splits = block != shape[i] && block > 1;
            if (splits)
            {
                view.Add(shape[i] / block);
                kept.Add(shape[i] / block);
            }

            if (block != 1)
            {
                reduced.Add(view.Count);
            }

            view.Add(splits ? block : shape[i]);
            kept.Add(block == 1 ? shape[i] : 1);
        }

        BlockSize = [.. blockSize];
        View = [.. view];
        Kept = [.. kept];
        Reduced = [.. reduced];
    }

    /// <summary>Gets the block size it was made from.</summary>
    public long[] BlockSize { get; }

    /// <summary>Gets the shape to view the tensor in.</summary>
    public long[] View { get; }

    /// <summary>Gets the shape of the parameters beside <see cref="View"/>: 1 where a dimension is reduced.</summary>
    public long[] Kept { get; }

    /// <summary>Gets the dimensions of <see cref="View"/> to reduce.</summary>
    public long[] Reduced { get; }

    /// <summary>Gets the shape of the parameters with the reduced dimensions left out.</summary>
    public long[] Parameters => [.. View.Where((_, i) => !Reduced.Contains(i))];

    /// <summary>Gets whether each block of a contiguous tensor is one piece of memory: what is reduced comes last.</summary>
    public bool IsOnePieceABlock => Reduced.Length > 0 && Reduced[0] + Reduced.Length == View.Length;

    /// <summary>Gets how many parameters there are.</summary>
    public long Blocks => Kept.Aggregate(1L, (product, size) => product * size);

    private static void Check(IReadOnlyList<long> shape, IReadOnlyList<long> blockSize, int i)
    {
        if (blockSize[i] < 1)
        {
            throw new QuantizationException(
                $"Block size [{string.Join(", ", blockSize)}] has {blockSize[i]} at dimension {i} of a tensor of " +
                $"shape [{string.Join(", ", shape)}]: expected at least 1. A tensor without elements has no block " +
                "to choose a scale for.");
        }

        if (shape[i] % blockSize[i] != 0)
        {
            throw new QuantizationException(
                $"Block size [{string.Join(", ", blockSize)}] does not divide a tensor of shape " +
                $"[{string.Join(", ", shape)}] at dimension {i}: got {blockSize[i]}, expected a divisor of " +
                $"{shape[i]}. Choose another group size or pad the tensor.");
        }
    }
}
