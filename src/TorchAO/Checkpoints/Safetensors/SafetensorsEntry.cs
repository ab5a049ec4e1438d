namespace TorchAO.Checkpoints.Safetensors;

/// <summary>One tensor of a safetensors file: what it is and where its bytes lie.</summary>
/// <param name="Name">The tensor's name, unique in the file.</param>
/// <param name="DType">The dtype as the format writes it, such as <c>F32</c>.</param>
/// <param name="Shape">The dimensions; empty for a scalar.</param>
/// <param name="Begin">The first byte, counted from the end of the header.</param>
/// <param name="End">The byte after the last, counted from the end of the header.</param>
public sealed record SafetensorsEntry(string Name, string DType, long[] Shape, long Begin, long End)
{
    /// <summary>Gets the length of the data in bytes.</summary>
    public long Bytes => End - Begin;

    /// <summary>Tells whether two entries say the same, dimension by dimension.</summary>
    public bool Equals(SafetensorsEntry? other) =>
        other is not null && Name == other.Name && DType == other.DType && Begin == other.Begin && End == other.End
        && Shape.AsSpan().SequenceEqual(other.Shape);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, DType, Begin, End);

    /// <summary>Describes the entry as <c>name: F32 [2, 3]</c>.</summary>
    public override string ToString() => $"{Name}: {DType} [{string.Join(", ", Shape)}]";
}
