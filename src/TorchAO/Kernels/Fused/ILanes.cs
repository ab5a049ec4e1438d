using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Fused;

/// <summary>The float32 operations of one width of vector, so that a loop is written once and compiled for each width.</summary>
/// <remarks>
/// The compiler makes a copy of a loop for each type argument, as if the width had been spelled out; the portable vectors
/// compute correctly on any processor, so every copy is tested everywhere. Loads read exactly <see cref="Count"/> values.
/// </remarks>
/// <typeparam name="TVector">The vector.</typeparam>
internal unsafe interface ILanes<TVector>
    where TVector : struct
{
    /// <summary>Gets the values of a vector.</summary>
    static abstract int Count { get; }

    static abstract TVector Load(float* source);

    static abstract void Store(TVector vector, float* destination);

    static abstract TVector Broadcast(float value);

    static abstract TVector Add(TVector left, TVector right);

    static abstract TVector Multiply(TVector left, TVector right);

    /// <summary>Computes <c>a · b + c</c>, rounded once where the processor can.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    static abstract float Sum(TVector vector);

    /// <summary>Widens signed bytes.</summary>
    static abstract TVector FromInt8(sbyte* codes);

    /// <summary>Widens 4-bit codes, two a byte, the first in the high bits.</summary>
    static abstract TVector FromNibbles(byte* codes);

    /// <summary>Widens float8 e4m3fn, subnormal values and NaN included.</summary>
    static abstract TVector FromFloat8(byte* codes);
}

/// <summary>Four lanes.</summary>
internal readonly unsafe struct Lanes128 : ILanes<Vector128<float>>
{
    public static int Count => Vector128<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(float* source) => Vector128.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> vector, float* destination) => vector.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Broadcast(float value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Add(Vector128<float> left, Vector128<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> left, Vector128<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> c) =>
        Vector128.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector128<float> vector) => Vector128.Sum(vector);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> FromInt8(sbyte* codes)
    {
        Vector128<sbyte> bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<int>(codes)).AsSByte();
        return Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(bytes)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> FromNibbles(byte* codes)
    {
        Vector128<byte> bytes = Vector128.CreateScalarUnsafe((uint)Unsafe.ReadUnaligned<ushort>(codes)).AsByte();
        Vector128<byte> ordered = Nibbles.InOrder(Vector128.WidenLower(bytes));
        return Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(ordered)).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> FromFloat8(byte* codes)
    {
        Vector128<byte> bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(codes)).AsByte();
        Vector128<uint> wide = Vector128.WidenLower(Vector128.WidenLower(bytes));
        Vector128<uint> magnitude = wide & Vector128.Create(Float8Bits.Magnitude);
        Vector128<float> normal = ((magnitude << Float8Bits.FractionShift) + Vector128.Create(Float8Bits.Rebias)).AsSingle();
        Vector128<float> small = Vector128.ConvertToSingle(magnitude.AsInt32()) * Float8Bits.SubnormalStep;
        Vector128<float> value = Vector128.ConditionalSelect(
            Vector128.LessThan(magnitude, Vector128.Create(Float8Bits.FirstNormal)).AsSingle(), small, normal);
        value = Vector128.ConditionalSelect(
            Vector128.Equals(magnitude, Vector128.Create(Float8Bits.Magnitude)).AsSingle(), Vector128.Create(float.NaN), value);
        return value | ((wide & Vector128.Create(Float8Bits.Sign)) << Float8Bits.SignShift).AsSingle();
    }
}

/// <summary>Eight lanes.</summary>
internal readonly unsafe struct Lanes256 : ILanes<Vector256<float>>
{
    public static int Count => Vector256<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> vector, float* destination) => vector.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> left, Vector256<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> left, Vector256<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> vector) => Vector256.Sum(vector);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FromInt8(sbyte* codes)
    {
        Vector128<sbyte> bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<long>(codes)).AsSByte();
        return Vector256.ConvertToSingle(Vector256.WidenLower(Vector128.WidenLower(bytes).ToVector256Unsafe()));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FromNibbles(byte* codes)
    {
        Vector128<byte> bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(codes)).AsByte();
        Vector128<byte> ordered = Nibbles.InOrder(Vector128.WidenLower(bytes));
        return Vector256.ConvertToSingle(Vector256.WidenLower(Vector128.WidenLower(ordered).ToVector256Unsafe()).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FromFloat8(byte* codes)
    {
        Vector128<byte> bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(codes)).AsByte();
        Vector256<uint> wide = Vector256.WidenLower(Vector128.WidenLower(bytes).ToVector256Unsafe());
        Vector256<uint> magnitude = wide & Vector256.Create(Float8Bits.Magnitude);
        Vector256<float> normal = ((magnitude << Float8Bits.FractionShift) + Vector256.Create(Float8Bits.Rebias)).AsSingle();
        Vector256<float> small = Vector256.ConvertToSingle(magnitude.AsInt32()) * Float8Bits.SubnormalStep;
        Vector256<float> value = Vector256.ConditionalSelect(
            Vector256.LessThan(magnitude, Vector256.Create(Float8Bits.FirstNormal)).AsSingle(), small, normal);
        value = Vector256.ConditionalSelect(
            Vector256.Equals(magnitude, Vector256.Create(Float8Bits.Magnitude)).AsSingle(), Vector256.Create(float.NaN), value);
        return value | ((wide & Vector256.Create(Float8Bits.Sign)) << Float8Bits.SignShift).AsSingle();
    }
}

/// <summary>Sixteen lanes.</summary>
internal readonly unsafe struct Lanes512 : ILanes<Vector512<float>>
{
    public static int Count => Vector512<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> vector, float* destination) => vector.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> left, Vector512<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> left, Vector512<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> vector) => Vector512.Sum(vector);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> FromInt8(sbyte* codes) => Vector512.ConvertToSingle(Vector512.WidenLower(
        Vector256.WidenLower(Vector128.Load(codes).ToVector256Unsafe()).ToVector512Unsafe()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> FromNibbles(byte* codes)
    {
        Vector128<byte> bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(codes)).AsByte();
        Vector128<byte> ordered = Nibbles.InOrder(Vector128.WidenLower(bytes));
        return Vector512.ConvertToSingle(Widen(ordered).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> FromFloat8(byte* codes)
    {
        Vector512<uint> wide = Widen(Vector128.Load(codes));
        Vector512<uint> magnitude = wide & Vector512.Create(Float8Bits.Magnitude);
        Vector512<float> normal = ((magnitude << Float8Bits.FractionShift) + Vector512.Create(Float8Bits.Rebias)).AsSingle();
        Vector512<float> small = Vector512.ConvertToSingle(magnitude.AsInt32()) * Float8Bits.SubnormalStep;
        Vector512<float> value = Vector512.ConditionalSelect(
            Vector512.LessThan(magnitude, Vector512.Create(Float8Bits.FirstNormal)).AsSingle(), small, normal);
        value = Vector512.ConditionalSelect(
            Vector512.Equals(magnitude, Vector512.Create(Float8Bits.Magnitude)).AsSingle(), Vector512.Create(float.NaN), value);
        return value | ((wide & Vector512.Create(Float8Bits.Sign)) << Float8Bits.SignShift).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Widen(Vector128<byte> bytes) =>
        Vector512.WidenLower(Vector256.WidenLower(bytes.ToVector256Unsafe()).ToVector512Unsafe());
}

/// <summary>Bytes of two codes.</summary>
internal static class Nibbles
{
    /// <summary>Splits bytes, one in each 16-bit lane, into their high and low halves, the high one first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> InOrder(Vector128<ushort> bytes) =>
        ((bytes >>> 4) | ((bytes & Vector128.Create((ushort)0xF)) << 8)).AsByte();
}

/// <summary>The fields of float8 e4m3fn, moved to those of float32.</summary>
internal static class Float8Bits
{
    public const uint Magnitude = 0x7F;
    public const uint Sign = 0x80;
    public const int SignShift = 24;

    /// <summary>The first magnitude with a hidden one; those below are multiples of <see cref="SubnormalStep"/>.</summary>
    public const uint FirstNormal = 8;

    /// <summary>23 bits of fraction less 3.</summary>
    public const int FractionShift = 20;

    /// <summary>The difference of the biases, 127 less 7, at float32's exponent.</summary>
    public const uint Rebias = 120u << 23;

    /// <summary>2⁻⁹.</summary>
    public const float SubnormalStep = 1f / 512;
}
