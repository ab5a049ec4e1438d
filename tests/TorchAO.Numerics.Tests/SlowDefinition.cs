namespace TorchAO.Numerics.Tests;

/// <summary>
/// What a format means, written from the text of its specification and without any code of the library: the value of a
/// code by powers of two, the code of a value by looking at all codes.
/// </summary>
internal sealed class SlowDefinition
{
    private readonly int _exponentBits;
    private readonly int _mantissaBits;
    private readonly int _finiteCodes;
    private readonly double[] _values;

    /// <param name="exponentBits">Width of the exponent field.</param>
    /// <param name="mantissaBits">Width of the mantissa field.</param>
    /// <param name="finiteCodes">How many codes from zero on are finite, for one sign.</param>
    public SlowDefinition(int exponentBits, int mantissaBits, int finiteCodes)
    {
        _exponentBits = exponentBits;
        _mantissaBits = mantissaBits;
        _finiteCodes = finiteCodes;
        _values = [.. Enumerable.Range(0, finiteCodes).Select(ValueOf)];
    }

    public int FiniteCodes => _finiteCodes;

    public int SignBit => 1 << (_exponentBits + _mantissaBits);

    public double Largest => ValueOf(_finiteCodes - 1);

    /// <summary>The step that would follow the largest finite value.</summary>
    public double Beyond => ValueOf(_finiteCodes);

    public double ValueOf(int magnitude)
    {
        int exponent = magnitude / (1 << _mantissaBits);
        double fraction = magnitude % (1 << _mantissaBits) / (double)(1 << _mantissaBits);
        int bias = (1 << (_exponentBits - 1)) - 1;
        return exponent == 0
            ? fraction * Math.Pow(2, 1 - bias)
            : (1 + fraction) * Math.Pow(2, exponent - bias);
    }

    /// <summary>The nearest finite magnitude code, ties to the even one.</summary>
    public int NearestMagnitude(double magnitude)
    {
        int best = 0;
        for (int code = 1; code < _finiteCodes; code++)
        {
            double distance = Math.Abs(_values[code] - magnitude);
            double shortest = Math.Abs(_values[best] - magnitude);
            if (distance < shortest || (distance == shortest && code % 2 == 0))
            {
                best = code;
            }
        }

        return best;
    }

    /// <summary>The code of a number that is not NaN, saturating.</summary>
    public byte Saturating(float value)
    {
        double magnitude = Math.Min(Math.Abs((double)value), Largest);
        return (byte)(NearestMagnitude(magnitude) | (float.IsNegative(value) ? SignBit : 0));
    }

    /// <summary>The code of a number that is not NaN, where too large ones become <paramref name="overflow"/>.</summary>
    public byte Overflowing(float value, int overflow)
    {
        double magnitude = Math.Abs((double)value);
        double middle = (Largest + Beyond) / 2;
        bool fits = magnitude < middle || (magnitude == middle && (_finiteCodes - 1) % 2 == 0);
        return fits ? Saturating(value) : (byte)(overflow | (float.IsNegative(value) ? SignBit : 0));
    }
}
