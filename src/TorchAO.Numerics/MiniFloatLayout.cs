namespace TorchAO.Numerics;

/// <summary>What an encoder has to know about a format of one sign bit, an exponent field and a mantissa field.</summary>
/// <param name="ExponentBits">Width of the exponent field.</param>
/// <param name="MantissaBits">Width of the mantissa field.</param>
/// <param name="Limit">The magnitude code that everything too large becomes: the largest finite one, infinity or NaN.</param>
/// <param name="NaN">The magnitude code that NaN becomes.</param>
internal readonly record struct MiniFloatLayout(int ExponentBits, int MantissaBits, uint Limit, uint NaN)
{
    /// <summary>Exponent bias, 2^(e−1) − 1.</summary>
    public int Bias => (1 << (ExponentBits - 1)) - 1;

    /// <summary>Position of the sign bit.</summary>
    public int SignShift => ExponentBits + MantissaBits;

    /// <summary>Mantissa bits of a binary32 that the format lacks.</summary>
    public int DroppedBits => 23 - MantissaBits;

    /// <summary>The smallest normal value, as the bits of a binary32.</summary>
    public uint MinNormalBits => (uint)(128 - Bias) << 23;

    /// <summary>What to take from the bits of a binary32 so that its exponent field has this format's bias.</summary>
    public uint Rebias => (uint)(127 - Bias) << 23;

    /// <summary>
    /// The bits of a power of two whose binary32 spacing is this format's smallest subnormal: adding it to a magnitude
    /// below the smallest normal rounds that to the subnormal grid, nearest-even, in one hardware addition.
    /// </summary>
    public uint SubnormalAnchorBits => (uint)(128 - Bias + DroppedBits) << 23;

    /// <summary>The layout of a format that has neither infinity nor NaN.</summary>
    public static MiniFloatLayout Finite(int exponentBits, int mantissaBits)
    {
        uint largest = (1u << (exponentBits + mantissaBits)) - 1;

        // A quiet NaN runs through the rounding of normal values like torchao's; its low bits are what is left of it.
        MiniFloatLayout layout = new(exponentBits, mantissaBits, largest, 0);
        uint nan = (0x7FC0_0000u - layout.Rebias) >> layout.DroppedBits;
        return layout with { NaN = nan & largest };
    }
}
