using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Numerics;

namespace TorchAO.Kernels.Fused;

/// <summary>Codes of a byte and what they mean.</summary>
internal unsafe interface IByteCode
{
    static abstract float Decode(byte code);

    /// <summary>Decodes neighbours, as many as a vector has lanes.</summary>
    static abstract TVector Decode<TLanes, TVector>(byte* codes)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;
}

/// <summary>Two's complement.</summary>
internal readonly unsafe struct Int8Code : IByteCode
{
    public static float Decode(byte code) => (sbyte)code;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Decode<TLanes, TVector>(byte* codes)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.FromInt8((sbyte*)codes);
}

/// <summary>float8 e4m3fn.</summary>
internal readonly unsafe struct Float8Code : IByteCode
{
    public static float Decode(byte code) => FloatCodec<Float8E4M3>.Decode(code);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Decode<TLanes, TVector>(byte* codes)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.FromFloat8(codes);
}

/// <summary>Decodes a row of codes under one scale: <c>x[i] = value(q[i]) · s</c>, one multiplication, so that paths agree to the bit.</summary>
internal static unsafe class ScaledRow<TCode>
    where TCode : struct, IByteCode
{
    /// <summary>Gets the path with the widest vectors that a row fills.</summary>
    public static delegate*<byte*, float, float*, int, void> Best(int length) => Widest.Lanes(length) switch
    {
        16 => &Wide512,
        8 => &Wide256,
        4 => &Wide128,
        _ => &Scalar,
    };

    /// <summary>The reference: the definition, in order.</summary>
    public static void Scalar(byte* codes, float scale, float* row, int length)
    {
        for (int i = 0; i < length; i++)
        {
            row[i] = TCode.Decode(codes[i]) * scale;
        }
    }

    public static void Wide128(byte* codes, float scale, float* row, int length) =>
        Wide<Lanes128, Vector128<float>>(codes, scale, row, length);

    public static void Wide256(byte* codes, float scale, float* row, int length) =>
        Wide<Lanes256, Vector256<float>>(codes, scale, row, length);

    public static void Wide512(byte* codes, float scale, float* row, int length) =>
        Wide<Lanes512, Vector512<float>>(codes, scale, row, length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Wide<TLanes, TVector>(byte* codes, float scale, float* row, int length)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector scales = TLanes.Broadcast(scale);
        int i = 0;
        for (; i <= length - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Multiply(TCode.Decode<TLanes, TVector>(codes + i), scales), row + i);
        }

        Scalar(codes + i, scale, row + i, length - i);
    }
}
