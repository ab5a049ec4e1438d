namespace TorchAO.Primitives;

/// <summary>One scale for each block of given edges.</summary>
/// <param name="Edges">Elements along each dimension, counted from the last; dimensions before them are taken one by one.
/// </param>
public sealed record PerBlock(params long[] Edges) : Granularity
{
    /// <inheritdoc/>
    public override long[] BlockSize(IReadOnlyList<long> shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        if (Edges.Length == 0 || Edges.Length > shape.Count)
        {
            throw new QuantizationException(
                $"PerBlock({string.Join(", ", Edges)}) got a tensor of shape [{string.Join(", ", shape)}]: expected one to " +
                $"{shape.Count} edges.");
        }

        long[] block = new long[shape.Count];
        Array.Fill(block, 1);
        Edges.CopyTo(block, shape.Count - Edges.Length);
        return new BlockLayout(shape, block).BlockSize;
    }

    /// <summary>Compares the edges one by one.</summary>
    public bool Equals(PerBlock? other) => other is not null && Edges.AsSpan().SequenceEqual(other.Edges);

    /// <inheritdoc/>
    public override int GetHashCode() => Edges.Aggregate(Edges.Length, HashCode.Combine);
}
