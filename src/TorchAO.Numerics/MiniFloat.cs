using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchAO.Numerics;

/// <summary>Rounding of binary32 to a format of a few bits; every floating-point codec of this assembly is built on it.</summary>
internal static class MiniFloat
{
    private const uint MagnitudeMask = 0x7FFF_FFFF;
    private const uint InfinityBits = 0x7F80_0000;

    /// <summary>The nearest code, ties to even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte Encode(float value, MiniFloatLayout layout)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        uint magnitude = bits & MagnitudeMask;
        uint code;
        if (magnitude < layout.MinNormalBits)
        {
            float anchor = BitConverter.UInt32BitsToSingle(layout.SubnormalAnchorBits);
            float rounded = BitConverter.UInt32BitsToSingle(magnitude) + anchor;
            code = BitConverter.SingleToUInt32Bits(rounded) - layout.SubnormalAnchorBits;
        }
        else
        {
            uint half = (1u << (layout.DroppedBits - 1)) - 1;
            uint odd = (magnitude >> layout.DroppedBits) & 1;
            code = (magnitude + half + odd - layout.Rebias) >> layout.DroppedBits;
        }

        return Finish(bits, code, layout);
    }

    /// <summary>One of the two neighbouring codes, chosen by 32 random bits; saturates at the layout's limit.</summary>
    public static byte EncodeStochastic(float value, uint random, MiniFloatLayout layout)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        uint magnitude = bits & MagnitudeMask;
        uint code;
        if (magnitude < layout.MinNormalBits)
        {
            int scale = layout.Bias - 1 + layout.MantissaBits;
            double steps = double.ScaleB(BitConverter.UInt32BitsToSingle(magnitude), scale);
            double below = Math.Floor(steps);
            code = (uint)below + (random < (steps - below) * 4294967296.0 ? 1u : 0u);
        }
        else
        {
            code = (magnitude + (random >> (32 - layout.DroppedBits)) - layout.Rebias) >> layout.DroppedBits;
        }

        return Finish(bits, code, layout);
    }

    /// <summary>Encodes a span, nearest-even, as many elements at a time as the processor's vectors hold.</summary>
    public static void Encode(ReadOnlySpan<float> source, Span<byte> destination, MiniFloatLayout layout)
    {
        RequireRoom(source.Length, destination.Length);
        int step = Vector<byte>.Count;
        int done = 0;
        if (Vector.IsHardwareAccelerated)
        {
            int lanes = Vector<uint>.Count;
            ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(source);
            for (; done <= source.Length - step; done += step)
            {
                Vector<uint> a = EncodeLanes(new(bits[done..]), layout);
                Vector<uint> b = EncodeLanes(new(bits[(done + lanes)..]), layout);
                Vector<uint> c = EncodeLanes(new(bits[(done + 2 * lanes)..]), layout);
                Vector<uint> d = EncodeLanes(new(bits[(done + 3 * lanes)..]), layout);
                Vector.Narrow(Vector.Narrow(a, b), Vector.Narrow(c, d)).CopyTo(destination[done..]);
            }
        }

        for (; done < source.Length; done++)
        {
            destination[done] = Encode(source[done], layout);
        }
    }

    /// <summary>Decodes a span by table look-up.</summary>
    public static void Decode(ReadOnlySpan<byte> source, Span<float> destination, float[] table)
    {
        RequireRoom(source.Length, destination.Length);
        ReadOnlySpan<float> values = table.AsSpan(0, 256);
        destination = destination[..source.Length];
        for (int i = 0; i < source.Length; i++)
        {
            destination[i] = values[source[i]];
        }
    }

    /// <summary>The 256 values of all bytes; codes narrower than a byte repeat. Specials are the caller's to add.</summary>
    public static float[] DecodeTable(int exponentBits, int mantissaBits)
    {
        float[] table = new float[256];
        int magnitudes = 1 << (exponentBits + mantissaBits);
        int bias = (1 << (exponentBits - 1)) - 1;
        for (int code = 0; code < table.Length; code++)
        {
            int magnitude = code & (magnitudes - 1);
            int exponent = magnitude >> mantissaBits;
            int mantissa = magnitude & ((1 << mantissaBits) - 1);
            int significand = exponent == 0 ? mantissa : mantissa | (1 << mantissaBits);
            float value = float.ScaleB(significand, Math.Max(exponent, 1) - bias - mantissaBits);
            table[code] = (code & magnitudes) != 0 ? -value : value;
        }

        return table;
    }

    /// <summary>Refuses a destination that cannot hold the result.</summary>
    public static void RequireRoom(int needed, int got)
    {
        if (got < needed)
        {
            throw new ArgumentException($"The destination has room for {got} elements and {needed} are written.");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte Finish(uint bits, uint code, MiniFloatLayout layout)
    {
        code = (bits & MagnitudeMask) > InfinityBits ? layout.NaN : Math.Min(code, layout.Limit);
        return (byte)(code | ((bits >> 31) << layout.SignShift));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> EncodeLanes(Vector<uint> bits, MiniFloatLayout layout)
    {
        Vector<uint> magnitude = bits & new Vector<uint>(MagnitudeMask);
        Vector<uint> anchor = new(layout.SubnormalAnchorBits);
        Vector<uint> subnormal =
            Vector.AsVectorUInt32(Vector.AsVectorSingle(magnitude) + Vector.AsVectorSingle(anchor)) - anchor;

        Vector<uint> half = new((1u << (layout.DroppedBits - 1)) - 1);
        Vector<uint> odd = Vector.ShiftRightLogical(magnitude, layout.DroppedBits) & Vector<uint>.One;
        Vector<uint> normal =
            Vector.ShiftRightLogical(magnitude + half + odd - new Vector<uint>(layout.Rebias), layout.DroppedBits);

        // Magnitudes have no top bit, so that signed comparisons, which every vector unit has, do.
        Vector<int> signed = Vector.AsVectorInt32(magnitude);
        Vector<int> isSmall = Vector.LessThan(signed, new Vector<int>((int)layout.MinNormalBits));
        Vector<int> isNaN = Vector.GreaterThan(signed, new Vector<int>((int)InfinityBits));
        Vector<uint> code = Vector.ConditionalSelect(Vector.AsVectorUInt32(isSmall), subnormal, normal);
        code = Vector.Min(code, new Vector<uint>(layout.Limit));
        code = Vector.ConditionalSelect(Vector.AsVectorUInt32(isNaN), new Vector<uint>(layout.NaN), code);
        return code | Vector.ShiftLeft(Vector.ShiftRightLogical(bits, 31), layout.SignShift);
    }
}
