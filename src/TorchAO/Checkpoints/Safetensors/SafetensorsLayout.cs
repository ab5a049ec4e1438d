namespace TorchAO.Checkpoints.Safetensors;

/// <summary>What the format promises about the bytes: each tensor as long as its shape says, one after the other, no gaps.</summary>
internal static class SafetensorsLayout
{
    private const int MaximumRank = 64; // libtorch's iterators end here

    private const string Damaged = "The file is damaged or was cut off: fetch or export it again.";

    /// <summary>Verifies all entries against the data.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="entries">The tensors, sorted by begin and end.</param>
    /// <param name="dataBytes">The bytes of the file after the header.</param>
    /// <exception cref="CheckpointException">The first broken promise.</exception>
    public static void Verify(string path, SafetensorsEntry[] entries, long dataBytes)
    {
        long covered = 0;
        string before = "the header";
        foreach (SafetensorsEntry entry in entries)
        {
            string where = $"{path}: tensor {CheckpointException.Quote(entry.Name)}";
            VerifyEntry(where, entry, dataBytes);
            if (entry.Begin != covered)
            {
                bool isOverlap = entry.Begin < covered;
                throw new CheckpointException(
                    isOverlap ? CheckpointError.OverlappingTensors : CheckpointError.HoleBetweenTensors,
                    where,
                    isOverlap ? $"it shares bytes with {before}" : $"there is a hole between it and {before}",
                    $"a begin of {entry.Begin}", $"{covered}", Damaged);
            }

            covered = entry.End;
            before = $"tensor {CheckpointException.Quote(entry.Name)}";
        }

        if (covered != dataBytes)
        {
            throw new CheckpointException(
                CheckpointError.TrailingBytes, path, $"bytes follow {before} that belong to no tensor",
                $"{dataBytes} bytes of data", $"{covered}", Damaged);
        }
    }

    /// <summary>Computes the bytes of a tensor, or <see langword="null"/> where they exceed 64 bits.</summary>
    /// <remarks>Zero dimensions do not hide an overflow of the others: libtorch multiplies those into strides.</remarks>
    public static long? BytesOf(string dtype, long[] shape)
    {
        try
        {
            long bytes = SafetensorsDType.BytesOf(dtype);
            foreach (long dimension in shape)
            {
                bytes = checked(bytes * Math.Max(dimension, 1));
            }

            return shape.Contains(0) ? 0 : bytes;
        }
        catch (OverflowException)
        {
            return null;
        }
    }

    private static void VerifyEntry(string where, SafetensorsEntry entry, long dataBytes)
    {
        string shape = $"{entry.DType} [{string.Join(", ", entry.Shape.Take(MaximumRank))}]";
        if (entry.Shape.Length > MaximumRank)
        {
            throw new CheckpointException(
                CheckpointError.InvalidShape, where, "too many dimensions", $"{entry.Shape.Length}",
                $"at most {MaximumRank}", Damaged);
        }

        if (entry.Begin > entry.End)
        {
            throw new CheckpointException(
                CheckpointError.ReversedOffsets, where, "the offsets are reversed", $"[{entry.Begin}, {entry.End}]",
                "begin before end", Damaged);
        }

        if (entry.End > dataBytes)
        {
            throw new CheckpointException(
                CheckpointError.OffsetsOutsideFile, where, "the tensor reaches beyond the end of the file",
                $"an end of {entry.End}", $"at most {dataBytes}", Damaged);
        }

        long bytes = BytesOf(entry.DType, entry.Shape) ?? throw new CheckpointException(
            CheckpointError.ShapeOverflow, where, "the shape needs more bytes than 64 bits can count", shape,
            $"at most {dataBytes} bytes", Damaged);
        if (entry.Bytes != bytes)
        {
            throw new CheckpointException(
                CheckpointError.ByteCountMismatch, where, "the offsets do not fit shape and dtype",
                $"{entry.Bytes} bytes", $"{bytes} for {shape}", Damaged);
        }
    }
}
