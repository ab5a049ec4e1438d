namespace TorchAO.Primitives;

/// <summary>A small floating-point type without infinities and NaN: a sign, some exponent bits, some fraction bits.</summary>
/// <remarks>The exponent bias is <c>2^(e−1) − 1</c>; every code is a finite number. fp6 e3m2 and fp4 e2m1 are of this kind.
/// </remarks>
public sealed record FloatxType
{
    /// <summary>Names a type.</summary>
    /// <param name="exponentBits">1 to 5.</param>
    /// <param name="mantissaBits">0 or more; with sign and exponent at most 8 bits.</param>
    /// <exception cref="QuantizationException">No byte holds such a code, or no float32 its values.</exception>
    public FloatxType(int exponentBits, int mantissaBits)
    {
        if (exponentBits is < 1 or > 5 || mantissaBits < 0 || 1 + exponentBits + mantissaBits > 8)
        {
            throw new QuantizationException(
                $"A float of {exponentBits} exponent and {mantissaBits} fraction bits is not supported: expected 1 to 5 " +
                "exponent bits, and at most 8 bits with the sign.");
        }

        ExponentBits = exponentBits;
        MantissaBits = mantissaBits;
    }

    /// <summary>Gets the bits of the exponent.</summary>
    public int ExponentBits { get; }

    /// <summary>Gets the bits of the fraction.</summary>
    public int MantissaBits { get; }

    /// <summary>Gets the bits of a code, sign included.</summary>
    public int Bits => 1 + ExponentBits + MantissaBits;

    /// <summary>Gets the largest value.</summary>
    public double Largest => Magnitude((1 << (Bits - 1)) - 1);

    /// <summary>Computes the value of every code, the negative ones behind the positive ones.</summary>
    internal float[] Values()
    {
        int half = 1 << (Bits - 1);
        return [.. Enumerable.Range(0, 2 * half).Select(code =>
            (float)(code < half ? Magnitude(code) : -Magnitude(code - half)))];
    }

    /// <summary>Computes for each code but the last the smallest float32 that rounds to the next code.</summary>
    /// <remarks>The midpoint belongs to the even of its neighbours, so above an even code it lies one float32 higher.</remarks>
    internal float[] RoundingThresholds()
    {
        int half = 1 << (Bits - 1);
        return [.. Enumerable.Range(0, half - 1).Select(code =>
        {
            float middle = (float)((Magnitude(code) + Magnitude(code + 1)) / 2);
            return code % 2 == 0 ? MathF.BitIncrement(middle) : middle;
        })];
    }

    private double Magnitude(int code)
    {
        int bias = (1 << (ExponentBits - 1)) - 1;
        int exponent = code >> MantissaBits;
        double fraction = code & ((1 << MantissaBits) - 1);
        return exponent == 0
            ? Math.ScaleB(fraction, 1 - bias - MantissaBits)
            : Math.ScaleB((1 << MantissaBits) + fraction, exponent - bias - MantissaBits);
    }
}
