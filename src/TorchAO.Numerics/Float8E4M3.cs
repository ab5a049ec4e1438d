namespace TorchAO.Numerics;

/// <summary>
/// Eight bits: sign, four of exponent (bias 7), three of mantissa; no infinity, NaN is 0x7F and 0xFF ("e4m3fn"); at
/// most 448. Its cast makes NaN of magnitudes above 464, half a step beyond, and of infinities.
/// Micikevicius et al., "FP8 Formats for Deep Learning", 2022.
/// </summary>
public readonly struct Float8E4M3 : INumberFormat
{
    /// <inheritdoc/>
    public static int ExponentBits => 4;

    /// <inheritdoc/>
    public static int MantissaBits => 3;

    /// <inheritdoc/>
    public static SpecialCodes Specials => SpecialCodes.NaN;
}
