namespace TorchAO.Runtime.Cuda;

/// <summary>Counts of blocks in a grid, of threads in a block or of blocks in a cluster.</summary>
/// <param name="X">Along x, the fastest dimension.</param>
/// <param name="Y">Along y.</param>
/// <param name="Z">Along z.</param>
public readonly record struct Dim3(int X, int Y = 1, int Z = 1)
{
    /// <summary>Makes a row of <paramref name="count"/>.</summary>
    public static implicit operator Dim3(int count) => new(count);

    /// <summary>Makes a row of <paramref name="count"/>.</summary>
    public static Dim3 FromInt32(int count) => new(count);

    /// <summary>Gets the product of the three.</summary>
    public long Count => (long)X * Y * Z;

    /// <summary>Writes <c>[x, y, z]</c>.</summary>
    public override string ToString() => $"[{X}, {Y}, {Z}]";
}
