using System.Text.Json.Serialization;
using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Floatx;

/// <summary>Stores linear weights as small floats of 3 to 7 bits under one scale a row; activations stay as they are.</summary>
/// <remarks>Xia et al. 2024, FP6-LLM (arXiv:2401.14112). torchao 0.9's <c>FPXWeightOnlyConfig(ebits, mbits)</c>.</remarks>
public sealed record FPXWeightOnlyConfig : QuantizeConfig
{
    /// <summary>Makes a config of fp6, 3 exponent and 2 fraction bits.</summary>
    public FPXWeightOnlyConfig()
    {
    }

    /// <summary>Makes a config.</summary>
    /// <param name="exponentBits">torchao's <c>ebits</c>, 1 to 5.</param>
    /// <param name="mantissaBits">torchao's <c>mbits</c>; with sign and exponent 3 to 7 bits.</param>
    public FPXWeightOnlyConfig(int exponentBits, int mantissaBits) =>
        (ExponentBits, MantissaBits) = (exponentBits, mantissaBits);

    /// <summary>Gets the exponent bits of a code, torchao's <c>ebits</c>.</summary>
    /// <value>1 to 5; 3 by default.</value>
    [JsonPropertyName("ebits")]
    public int ExponentBits { get; init; } = 3;

    /// <summary>Gets the fraction bits of a code, torchao's <c>mbits</c>.</summary>
    /// <value>0 or more; with sign and exponent 3 to 7 bits. 2 by default.</value>
    [JsonPropertyName("mbits")]
    public int MantissaBits { get; init; } = 2;

    /// <summary>Says why there are no such codes, or <see langword="null"/> where there are.</summary>
    internal static string? ReasonUnsupported(int exponentBits, int mantissaBits) =>
        exponentBits is >= 1 and <= 5 && mantissaBits >= 0 && 1 + exponentBits + mantissaBits is >= 3 and <= 7
            ? null
            : "1 to 5 exponent bits and a sign, an exponent and a fraction of 3 to 7 bits together";
}

internal sealed class FPXWeightOnlyHandler : QuantizeHandler<FPXWeightOnlyConfig>
{
    public override string ConfigName => "fpx_weight_only";

    public override string FormatName => FloatxFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, FPXWeightOnlyConfig config) =>
        FPXWeightOnlyConfig.ReasonUnsupported(config.ExponentBits, config.MantissaBits) is { } expected
            ? throw new QuantizationException(
                $"ebits is {config.ExponentBits} and mbits {config.MantissaBits}, expected {expected}; for 8 bits use float8_weight_only.")
            : null;

    protected override long PredictBytes(in WeightFacts weight, FPXWeightOnlyConfig config) => weight.OutFeatures
        * (BitStreamRows.RowBytes(weight.InFeatures, TypeOf(config).Bits) + weight.ElementBytes);

    protected override long GroupSize(in WeightFacts weight, FPXWeightOnlyConfig config) => weight.InFeatures;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, FPXWeightOnlyConfig config) =>
        new FloatxGrid(TypeOf(config));

    private static FloatxType TypeOf(FPXWeightOnlyConfig config) => new(config.ExponentBits, config.MantissaBits);
}
