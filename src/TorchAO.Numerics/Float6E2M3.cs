namespace TorchAO.Numerics;

/// <summary>
/// Six bits: sign, two of exponent (bias 1), three of mantissa; neither infinity nor NaN, at most 7.5.
/// OCP Microscaling Formats (MX) specification 1.0, 2023.
/// </summary>
public readonly struct Float6E2M3 : INumberFormat
{
    /// <inheritdoc/>
    public static int ExponentBits => 2;

    /// <inheritdoc/>
    public static int MantissaBits => 3;

    /// <inheritdoc/>
    public static SpecialCodes Specials => SpecialCodes.None;
}
