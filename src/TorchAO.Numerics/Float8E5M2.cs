namespace TorchAO.Numerics;

/// <summary>
/// Eight bits: sign, five of exponent (bias 15), two of mantissa; infinities and NaN as in IEEE 754 ("e5m2"); at most
/// 57344. Its cast makes infinity of magnitudes from 61440, half a step beyond, on.
/// Micikevicius et al., "FP8 Formats for Deep Learning", 2022.
/// </summary>
public readonly struct Float8E5M2 : INumberFormat
{
    /// <inheritdoc/>
    public static int ExponentBits => 5;

    /// <inheritdoc/>
    public static int MantissaBits => 2;

    /// <inheritdoc/>
    public static SpecialCodes Specials => SpecialCodes.InfinityAndNaN;
}
