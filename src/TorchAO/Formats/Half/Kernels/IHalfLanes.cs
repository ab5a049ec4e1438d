using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Formats.Half.Kernels;

/// <summary>Widens 16-bit floating point, one value in the low half of each lane; exact for every finite value.</summary>
internal interface IHalfLanes
{
    static abstract float Widen(ushort code);

    static abstract Vector256<float> Widen(Vector256<uint> codes);

    static abstract Vector512<float> Widen(Vector512<uint> codes);
}

/// <summary>bfloat16: the high half of a float32.</summary>
internal readonly struct BFloat16Lanes : IHalfLanes
{
    public static float Widen(ushort code) => BitConverter.UInt32BitsToSingle((uint)code << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector256<uint> codes) => (codes << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector512<uint> codes) => (codes << 16).AsSingle();
}

/// <summary>float16: exponent and fraction moved to float32's places, times the difference of the biases, which is right for
/// subnormal values too.</summary>
internal readonly struct Float16Lanes : IHalfLanes
{
    private const uint Magnitude = 0x7fff;
    private const uint Sign = 0x8000;
    private const int FractionShift = 23 - 10;

    // 2^(127 - 15)
    private const float BiasDifference = 5.192296858534828e33f;

    public static float Widen(ushort code) => (float)BitConverter.UInt16BitsToHalf(code);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector256<uint> codes)
    {
        Vector256<float> magnitude = ((codes & Vector256.Create(Magnitude)) << FractionShift).AsSingle() * BiasDifference;
        return magnitude | ((codes & Vector256.Create(Sign)) << 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector512<uint> codes)
    {
        Vector512<float> magnitude = ((codes & Vector512.Create(Magnitude)) << FractionShift).AsSingle() * BiasDifference;
        return magnitude | ((codes & Vector512.Create(Sign)) << 16).AsSingle();
    }
}
