namespace TorchAO.Numerics;

/// <summary>
/// What tells a floating-point format of at most eight bits from the others: one sign bit, two fields, and which codes
/// are not numbers. <see cref="FloatCodec{TFormat}"/> does the rest, compiled once a format with all of this folded in.
/// </summary>
public interface INumberFormat
{
    /// <summary>Bits of the exponent field; the bias is 2^(e−1) − 1.</summary>
    static abstract int ExponentBits { get; }

    /// <summary>Bits of the mantissa field, without the hidden one.</summary>
    static abstract int MantissaBits { get; }

    /// <summary>Which codes stand for infinity and NaN.</summary>
    static abstract SpecialCodes Specials { get; }
}
