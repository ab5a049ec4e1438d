using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Kernels.Cpu;
using TorchAO.Numerics;

namespace TorchAO.Formats.Mx.Kernels;

/// <summary>Decodes codes, one in the low bits of each int32 lane, without a table in memory.</summary>
/// <remarks>
/// Exponent and fraction move to their places in a float32 and the bias is corrected by an addition. A code without hidden
/// one is decoded with it, and the one subtracted again: a float32 subnormal, which is slow on some processors, never
/// occurs. The codes of infinity and NaN are taken for numbers; <see cref="MxTensor"/> has none.
/// </remarks>
internal static class MxDecode<TFormat>
    where TFormat : struct, INumberFormat
{
    // All constants, once they are inlined: full optimization at the first call knows no better of its own.
    private static int SignShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 31 - TFormat.ExponentBits - TFormat.MantissaBits;
    }

    private static int MagnitudeMask
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (1 << (TFormat.ExponentBits + TFormat.MantissaBits)) - 1;
    }

    private static int FractionShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 23 - TFormat.MantissaBits;
    }

    private static int Rebias
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (128 - (1 << (TFormat.ExponentBits - 1))) << 23;
    }

    // The smallest value with a hidden one, 2^(1 − bias), as bits.
    private static int HiddenOne
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Rebias + (1 << 23);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Wide512(Vector512<int> codes)
    {
        Vector512<int> magnitude = codes & Vector512.Create(MagnitudeMask);
        var isSmall = Vector512.LessThan(magnitude, Vector512.Create(1 << TFormat.MantissaBits));
        var rebias = Vector512.ConditionalSelect(isSmall, Vector512.Create(HiddenOne), Vector512.Create(Rebias));
        var surplus = Vector512.ConditionalSelect(isSmall, Vector512.Create(HiddenOne), Vector512<int>.Zero);
        Vector512<float> value = ((magnitude << FractionShift) + rebias).AsSingle() - surplus.AsSingle();
        return Vector512.ConditionalSelect(Vector512.Create(-0f), (codes << SignShift).AsSingle(), value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Wide256(Vector256<int> codes)
    {
        Vector256<int> magnitude = codes & Vector256.Create(MagnitudeMask);
        var isSmall = Vector256.LessThan(magnitude, Vector256.Create(1 << TFormat.MantissaBits));
        Vector256<int> rebias = Vector256.Create(Rebias) + (isSmall & Vector256.Create(1 << 23));
        Vector256<int> surplus = isSmall & Vector256.Create(HiddenOne);
        Vector256<float> value = ((magnitude << FractionShift) + rebias).AsSingle() - surplus.AsSingle();
        return value | ((codes << SignShift).AsSingle() & Vector256.Create(-0f));
    }
}

/// <summary>Codes of a byte each.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct Mx8Codes<TFormat> : IMxCodes
    where TFormat : struct, INumberFormat
{
    public static int Bits => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load512(byte* codes, out Vector512<float> first, out Vector512<float> second)
    {
        first = MxDecode<TFormat>.Wide512(ByteLanes.Widen512(codes));
        second = MxDecode<TFormat>.Wide512(ByteLanes.Widen512(codes + 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load256(byte* codes, int half, out Vector256<float> first, out Vector256<float> second)
    {
        first = MxDecode<TFormat>.Wide256(ByteLanes.Widen256(codes + (16 * half)));
        second = MxDecode<TFormat>.Wide256(ByteLanes.Widen256(codes + (16 * half) + 8));
    }
}

/// <summary>Codes of six bits: four in three bytes, which are read as one number of 24 bits.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct Mx6Codes<TFormat> : IMxCodes
    where TFormat : struct, INumberFormat
{
    // Thirty-two magnitudes fill the two registers of a permute.
    private static readonly Vector512<float> SmallMagnitudes = Magnitudes(0);
    private static readonly Vector512<float> LargeMagnitudes = Magnitudes(16);

    public static int Bits => 6;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load512(byte* codes, out Vector512<float> first, out Vector512<float> second)
    {
        first = Sixteen(Vector128.Load(codes), Vector128.Create(
            (byte)2, 1, 0, 255, 5, 4, 3, 255, 8, 7, 6, 255, 11, 10, 9, 255));
        second = Sixteen(Vector128.Load(codes + 8), Vector128.Create(
            (byte)6, 5, 4, 255, 9, 8, 7, 255, 12, 11, 10, 255, 15, 14, 13, 255));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load256(byte* codes, int half, out Vector256<float> first, out Vector256<float> second)
    {
        // Both halves are twelve bytes within the sixteen that are loaded: at the front of them, or at the end.
        var bytes = Vector128.Load(codes + (8 * half));
        var offset = Vector128.Create((byte)(4 * half));
        Vector128<byte> words = Vector128.Create((byte)2, 1, 0, 255, 2, 1, 0, 255, 2, 1, 0, 255, 2, 1, 0, 255);
        Vector128<byte> place = Vector128.AddSaturate(words, offset);
        first = Eight(bytes, place);
        second = Eight(bytes, Vector128.AddSaturate(place, Vector128.Create((byte)6)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Sixteen(Vector128<byte> bytes, Vector128<byte> order)
    {
        Vector128<int> words = Vector128.Shuffle(bytes, order).AsInt32();
        var spread = Vector512.Shuffle(
            words.ToVector256Unsafe().ToVector512Unsafe(),
            Vector512.Create(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
        if (!Avx512F.IsSupported)
        {
            Vector512<int> factors = Vector512.Create(1, 1 << 6, 1 << 12, 1 << 18, 1, 1 << 6, 1 << 12, 1 << 18, 1, 1 << 6, 1 << 12, 1 << 18, 1, 1 << 6, 1 << 12, 1 << 18);
            return MxDecode<TFormat>.Wide512((spread * factors) >>> 18);
        }

        Vector512<int> codes = Avx512F.ShiftRightLogicalVariable(
            spread, Vector512.Create(18u, 12, 6, 0, 18, 12, 6, 0, 18, 12, 6, 0, 18, 12, 6, 0));
        Vector512<float> magnitude = Avx512F.PermuteVar16x32x2(SmallMagnitudes, codes, LargeMagnitudes);
        return Vector512.ConditionalSelect(Vector512.Create(-0f), (codes << 26).AsSingle(), magnitude);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Eight(Vector128<byte> bytes, Vector128<byte> place)
    {
        Vector256<int> words = Vector256.Create(
            Vector128.ShuffleNative(bytes, place),
            Vector128.ShuffleNative(bytes, Vector128.AddSaturate(place, Vector128.Create((byte)3)))).AsInt32();
        Vector256<int> codes = Avx2.IsSupported
            ? Avx2.ShiftRightLogicalVariable(words, Vector256.Create(18u, 12, 6, 0, 18, 12, 6, 0))
            : (words * Vector256.Create(1, 1 << 6, 1 << 12, 1 << 18, 1, 1 << 6, 1 << 12, 1 << 18)) >>> 18;
        return MxDecode<TFormat>.Wide256(codes);
    }

    private static Vector512<float> Magnitudes(int first)
    {
        float[] values = [.. Enumerable.Range(first, 16).Select(code => FloatCodec<TFormat>.Decode((byte)code))];
        return Vector512.Create<float>(values);
    }
}

/// <summary>Codes of four bits, two a byte: the even ones of 32 are the high halves of 16 bytes, the odd ones the low halves.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct Mx4Codes : IMxCodes
{
    public static int Bits => 4;

    public static bool IsSplit => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load512(byte* codes, out Vector512<float> first, out Vector512<float> second)
    {
        Vector512<int> pairs = ByteLanes.Widen512(codes);
        first = Decode(pairs >>> 4);
        second = Decode(pairs);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load256(byte* codes, int half, out Vector256<float> first, out Vector256<float> second)
    {
        Vector256<int> pairs = ByteLanes.Widen256(codes + (8 * half));
        first = MxDecode<Float4E2M1>.Wide256(pairs >>> 4);
        second = MxDecode<Float4E2M1>.Wide256(pairs);
    }

    // The permute looks at the low four bits of each lane only.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Decode(Vector512<int> codes) => Avx512F.IsSupported
        ? Avx512F.PermuteVar16x32(
            Vector512.Create(0f, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6), codes)
        : MxDecode<Float4E2M1>.Wide512(codes);
}
