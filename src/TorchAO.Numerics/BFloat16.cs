using System.Numerics;
using System.Runtime.InteropServices;

namespace TorchAO.Numerics;

/// <summary>
/// The upper half of a binary32: sign, eight bits of exponent, seven of mantissa. Codes are <see cref="ushort"/>.
/// </summary>
public static class BFloat16
{
    /// <summary>Width of a code in bits.</summary>
    public const int Bits = 16;

    /// <summary>The largest finite value, (2 − 2⁻⁷)·2¹²⁷.</summary>
    public const float MaxValue = 3.3895314E+38f;

    /// <summary>The smallest positive value with a hidden one, 2⁻¹²⁶.</summary>
    public const float MinNormal = 1.17549435E-38f;

    /// <summary>The smallest positive value, 2⁻¹³³.</summary>
    public const float MinSubnormal = 9.1835496E-41f;

    private const uint Quiet = 0x40;

    /// <summary>The nearest code, ties to the even one; overflow becomes infinity, NaN stays NaN with its sign.</summary>
    public static ushort Encode(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)(float.IsNaN(value) ? (bits >> 16) | Quiet : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>
    /// One of the two neighbouring codes, the farther from zero with a probability equal to the share of the dropped
    /// bits; infinities and NaN stay. Beyond <see cref="MaxValue"/> the neighbour is infinity.
    /// </summary>
    /// <param name="value">What to round.</param>
    /// <param name="random">Random bits, of which the upper sixteen are used; see <see cref="CounterRandom"/>.</param>
    public static ushort EncodeStochastic(float value, uint random)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)(float.IsNaN(value) ? (bits >> 16) | Quiet : (bits + (random >> 16)) >> 16);
    }

    /// <summary>The value of a code, exact.</summary>
    public static float Decode(ushort code) => BitConverter.UInt32BitsToSingle((uint)code << 16);

    /// <summary>Rounds to the nearest value of this format and back, as a tensor stored in it would.</summary>
    public static float Round(float value) => Decode(Encode(value));

    /// <summary>Encodes each element.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void Encode(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        MiniFloat.RequireRoom(source.Length, destination.Length);
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(source);
        int lanes = Vector<uint>.Count;
        int done = 0;
        for (; done <= source.Length - 2 * lanes; done += 2 * lanes)
        {
            Vector<uint> low = EncodeLanes(new(bits[done..]));
            Vector<uint> high = EncodeLanes(new(bits[(done + lanes)..]));
            Vector.Narrow(low, high).CopyTo(destination[done..]);
        }

        for (; done < source.Length; done++)
        {
            destination[done] = Encode(source[done]);
        }
    }

    /// <summary>Decodes each code.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void Decode(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        MiniFloat.RequireRoom(source.Length, destination.Length);
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(destination);
        int lanes = Vector<ushort>.Count;
        int done = 0;
        for (; done <= source.Length - lanes; done += lanes)
        {
            Vector.Widen(new Vector<ushort>(source[done..]), out Vector<uint> low, out Vector<uint> high);
            Vector.ShiftLeft(low, 16).CopyTo(bits[done..]);
            Vector.ShiftLeft(high, 16).CopyTo(bits[(done + lanes / 2)..]);
        }

        for (; done < source.Length; done++)
        {
            bits[done] = (uint)source[done] << 16;
        }
    }

    private static Vector<uint> EncodeLanes(Vector<uint> bits)
    {
        Vector<uint> upper = Vector.ShiftRightLogical(bits, 16);
        Vector<uint> rounded =
            Vector.ShiftRightLogical(bits + new Vector<uint>(0x7FFF) + (upper & Vector<uint>.One), 16);
        Vector<int> magnitude = Vector.AsVectorInt32(bits & new Vector<uint>(0x7FFF_FFFF));
        Vector<int> isNaN = Vector.GreaterThan(magnitude, new Vector<int>(0x7F80_0000));
        return Vector.ConditionalSelect(Vector.AsVectorUInt32(isNaN), upper | new Vector<uint>(Quiet), rounded);
    }
}
