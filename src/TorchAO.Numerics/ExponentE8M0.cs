namespace TorchAO.Numerics;

/// <summary>
/// Eight bits of exponent alone, the scale of a block: code c is 2^(c − 127), and 255 is NaN. There is no zero and no sign.
/// OCP Microscaling Formats (MX) specification 1.0, 2023.
/// </summary>
public static class ExponentE8M0
{
    /// <summary>Width of a code in bits.</summary>
    public const int Bits = 8;

    /// <summary>The code of 2⁰.</summary>
    public const int Bias = 127;

    /// <summary>The code of NaN.</summary>
    public const byte NaN = 255;

    /// <summary>The largest value, 2¹²⁷.</summary>
    public const float MaxValue = 1.70141183E+38f;

    /// <summary>The smallest value, 2⁻¹²⁷, subnormal as a binary32.</summary>
    public const float MinValue = 5.877472E-39f;

    private const int LargestExponent = 127;

    /// <summary>The value of a code, exact.</summary>
    public static float Decode(byte code) => code switch
    {
        NaN => MiniFloat.PositiveNaN,
        0 => MinValue,
        _ => BitConverter.UInt32BitsToSingle((uint)code << 23),
    };

    /// <summary>Decodes each code.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void Decode(ReadOnlySpan<byte> source, Span<float> destination)
    {
        MiniFloat.RequireRoom(source.Length, destination.Length);
        for (int i = 0; i < source.Length; i++)
        {
            destination[i] = Decode(source[i]);
        }
    }

    /// <summary>The code of the exponent, clamped to what has a code.</summary>
    public static byte FromExponent(int exponent) =>
        (byte)(Math.Clamp(exponent, -LargestExponent, LargestExponent) + Bias);

    /// <summary>
    /// The scale of a block whose elements are stored as <typeparamref name="TElement"/>. Exponents are exact here: where
    /// torchao takes a rounded logarithm, a maximum one step below a power of two may get the next scale.
    /// </summary>
    /// <param name="maximum">The largest magnitude of the block; its sign is ignored. NaN gives <see cref="NaN"/>,
    /// infinity the largest scale, zero the smallest.</param>
    /// <param name="rounding">The rule.</param>
    public static byte FromBlockMaximum<TElement>(float maximum, ScaleRounding rounding)
        where TElement : struct, INumberFormat
    {
        maximum = MathF.Abs(maximum);
        if (float.IsNaN(maximum))
        {
            return NaN;
        }

        if (float.IsInfinity(maximum))
        {
            return FromExponent(LargestExponent);
        }

        if (maximum == 0)
        {
            return 0;
        }

        return FromExponent(rounding switch
        {
            ScaleRounding.Floor => Floor(maximum) - FloatCodec<TElement>.MaxExponent,
            ScaleRounding.Ceiling => Ceiling(maximum) - FloatCodec<TElement>.MaxExponent,
            ScaleRounding.Even => Floor(RoundMantissa(maximum, TElement.MantissaBits)) - FloatCodec<TElement>.MaxExponent,
            ScaleRounding.RoundUp => Ceiling((double)maximum / FloatCodec<TElement>.MaxValue),
            _ => throw new ArgumentOutOfRangeException(nameof(rounding), rounding, "An unknown rounding of scales."),
        });
    }

    // Adds half of the last kept mantissa bit; what is dropped afterwards does not change the exponent.
    private static float RoundMantissa(float value, int mantissaBits) =>
        BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) + (1u << (22 - mantissaBits)));

    private static int Floor(double value) => Math.ILogB(value);

    private static int Ceiling(double value)
    {
        int floor = Math.ILogB(value);
        return double.ScaleB(1, floor) < value ? floor + 1 : floor;
    }
}
