using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Formats.Int4.Kernels;

/// <summary>How the lanes of a block find their scales: one implementation a group size, so that the loop has no branch.</summary>
internal unsafe interface ILaneScales
{
    /// <summary>Gets the scales of the 16 lanes of a whole block of 128 codes.</summary>
    static abstract Vector512<float> Load512(in Int4Row row, int block);

    /// <summary>Gets the scales of the 8 lanes of a whole block of 64 codes.</summary>
    static abstract Vector256<float> Load256(in Int4Row row, int block);

    /// <summary>Gets the factor of the whole sum: the scale, where a row has one.</summary>
    static virtual float RowScale(in Int4Row row) => 1;
}

/// <summary>One scale a row.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct RowScales : ILaneScales
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(in Int4Row row, int block) => Vector512<float>.One;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(in Int4Row row, int block) => Vector256<float>.One;

    public static float RowScale(in Int4Row row) => row.Scales[0];
}

/// <summary>Groups of 32 codes: four lanes each.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct Group32Scales : ILaneScales
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(in Int4Row row, int block) => Vector512.Shuffle(
        Vector128.Load(row.Scales + (4L * block)).ToVector256Unsafe().ToVector512Unsafe(),
        Vector512.Create(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(in Int4Row row, int block) => Vector256.Create(
        Vector128.Create(row.Scales[2L * block]), Vector128.Create(row.Scales[(2L * block) + 1]));
}

/// <summary>Groups of 64 codes: eight lanes each.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct Group64Scales : ILaneScales
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(in Int4Row row, int block) => Vector512.Create(
        Vector256.Create(row.Scales[2L * block]), Vector256.Create(row.Scales[(2L * block) + 1]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(in Int4Row row, int block) => Vector256.Create(row.Scales[block]);
}

/// <summary>Groups of a multiple of 128 codes: whole blocks.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct WholeBlockScales : ILaneScales
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(in Int4Row row, int block) =>
        Vector512.Create(row.Scales[block / (row.GroupSize / 128)]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(in Int4Row row, int block) =>
        Vector256.Create(row.Scales[block / (row.GroupSize / 64)]);
}

/// <summary>Any other multiple of eight codes: lane by lane.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct AnyGroupScales : ILaneScales
{
    public static Vector512<float> Load512(in Int4Row row, int block)
    {
        float* lanes = stackalloc float[16];
        row.LaneScales(16 * block, new Span<float>(lanes, 16));
        return Vector512.Load(lanes);
    }

    public static Vector256<float> Load256(in Int4Row row, int block)
    {
        float* lanes = stackalloc float[8];
        row.LaneScales(8 * block, new Span<float>(lanes, 8));
        return Vector256.Load(lanes);
    }
}
