namespace TorchAO.Numerics;

/// <summary>
/// Six bits: sign, three of exponent (bias 3), two of mantissa; neither infinity nor NaN, at most 28.
/// OCP Microscaling Formats (MX) specification 1.0, 2023.
/// </summary>
public readonly struct Float6E3M2 : INumberFormat
{
    /// <inheritdoc/>
    public static int ExponentBits => 3;

    /// <inheritdoc/>
    public static int MantissaBits => 2;

    /// <inheritdoc/>
    public static SpecialCodes Specials => SpecialCodes.None;
}
