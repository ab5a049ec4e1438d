namespace TorchAO.Numerics;

/// <summary>
/// Four bits: sign, two of exponent (bias 1), one of mantissa; the magnitudes 0, 0.5, 1, 1.5, 2, 3, 4 and 6.
/// OCP Microscaling Formats (MX) specification 1.0, 2023.
/// </summary>
public readonly struct Float4E2M1 : INumberFormat
{
    /// <inheritdoc/>
    public static int ExponentBits => 2;

    /// <inheritdoc/>
    public static int MantissaBits => 1;

    /// <inheritdoc/>
    public static SpecialCodes Specials => SpecialCodes.None;
}
