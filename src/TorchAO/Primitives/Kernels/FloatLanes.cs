using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Primitives.Kernels;

/// <summary>Sixteen values of a floating-point type at a time, held as float32, which has room for each exactly.</summary>
/// <remarks>What libtorch computes in a narrow type it computes in float32 and rounds after each operator: so do callers, by
/// <see cref="Round"/>.</remarks>
internal unsafe interface IFloatLanes
{
    /// <summary>Gets the bytes of a value.</summary>
    static abstract int Bytes { get; }

    /// <summary>Loads sixteen values.</summary>
    /// <param name="values">The first; no alignment is asked for.</param>
    static abstract Vector512<float> Load(byte* values);

    /// <summary>Rounds to the nearest values of the type, ties to even; what is too large becomes infinite. NaN becomes any
    /// value.</summary>
    static abstract Vector512<float> Round(Vector512<float> values);
}

/// <summary>float32: nothing to widen, nothing to round.</summary>
internal readonly unsafe struct Float32Values : IFloatLanes
{
    public static int Bytes => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* values) => Vector512.Load((float*)values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> values) => values;
}

/// <summary>bfloat16: the upper halves of float32.</summary>
internal readonly unsafe struct BFloat16Values : IFloatLanes
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* values) => (HalfWords.Widen(values) << 16).AsSingle();

    // Half of the last place is added, less one where the value above is even; a carry into the exponent is right.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> values)
    {
        Vector512<uint> bits = values.AsUInt32();
        Vector512<uint> odd = (bits >>> 16) & Vector512<uint>.One;
        return ((bits + Vector512.Create(0x7FFFu) + odd) & Vector512.Create(0xFFFF0000u)).AsSingle();
    }
}

/// <summary>float16.</summary>
internal readonly unsafe struct Float16Values : IFloatLanes
{
    private const int Surplus = 13; // fraction bits of float32 beyond those of float16
    private const uint Rebias = 127 - 15;
    private const uint FractionMask = 0x3FF;
    private const float Smallest = 5.9604645e-8f; // 2^-24, the distance of subnormal numbers
    private const float SmallestNormal = 6.1035156e-5f; // 2^-14
    private const float Overflow = 65536; // what rounds to it or beyond is infinite

    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* values)
    {
        Vector512<uint> bits = HalfWords.Widen(values);
        Vector512<uint> sign = (bits & Vector512.Create(0x8000u)) << 16;
        Vector512<uint> magnitude = bits & Vector512.Create(0x7FFFu);
        Vector512<uint> normal = (magnitude << Surplus) + Vector512.Create(Rebias << 23);

        // The exponent of infinity and NaN moves by the bias twice; subnormal numbers are multiples of the smallest.
        normal += Vector512.GreaterThan(magnitude, Vector512.Create(0x7BFFu)) & Vector512.Create(Rebias << 23);
        Vector512<uint> subnormal = (Vector512.ConvertToSingle(magnitude.AsInt32()) * Vector512.Create(Smallest)).AsUInt32();
        Vector512<uint> isSubnormal = Vector512.LessThanOrEqual(magnitude, Vector512.Create(FractionMask));
        return (Vector512.ConditionalSelect(isSubnormal, subnormal, normal) | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> values)
    {
        const uint HalfPlace = (1u << (Surplus - 1)) - 1;
        Vector512<uint> bits = values.AsUInt32();
        Vector512<uint> odd = (bits >>> Surplus) & Vector512<uint>.One;
        Vector512<float> normal =
            ((bits + Vector512.Create(HalfPlace) + odd) & Vector512.Create(~((1u << Surplus) - 1))).AsSingle();

        // Float32 between 1/2 and 1 has steps of the smallest number: 3/4 plus a small one rounds it, whatever its sign.
        var bias = Vector512.Create(0.75f);
        Vector512<float> subnormal = (values + bias) - bias;
        Vector512<float> magnitude = Vector512.Abs(normal);
        Vector512<float> infinite = Vector512.CopySign(Vector512.Create(float.PositiveInfinity), normal);
        normal = Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(Overflow)), infinite, normal);
        return Vector512.ConditionalSelect(
            Vector512.LessThan(Vector512.Abs(values), Vector512.Create(SmallestNormal)), subnormal, normal);
    }
}

/// <summary>Words of 16 bits in lanes of 32.</summary>
internal static unsafe class HalfWords
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Widen(byte* values)
    {
        var words = Vector256.Load((ushort*)values);
        return Avx512F.IsSupported
            ? Avx512F.ConvertToVector512UInt32(words)
            : Vector512.Create(Vector256.WidenLower(words), Vector256.WidenUpper(words));
    }
}
