namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>What <c>quantize.cu</c> is compiled for, in its own numbers.</summary>
/// <param name="Input">The type of the weight.</param>
/// <param name="Scale">The type of scales.</param>
/// <param name="Rule">How values become codes.</param>
/// <param name="Layout">Where codes lie in a row.</param>
/// <param name="Bits">Bits of a code.</param>
/// <param name="Exponent">Exponent bits of codes that are floats.</param>
/// <param name="Mantissa">Fraction bits of these.</param>
internal readonly record struct PassVariant(int Input, int Scale, int Rule, int Layout, int Bits, int Exponent, int Mantissa)
{
    /// <summary>Gets the options for the compiler.</summary>
    public string[] Options =>
    [
        $"-DIN={Input}", $"-DSCALE={Scale}", $"-DRULE={Rule}", $"-DLAYOUT={Layout}", $"-DBITS={Bits}", $"-DEXPONENT={Exponent}",
        $"-DMANTISSA={Mantissa}",
    ];
}
