using TorchAO.Configuration;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8;

/// <summary>Stores linear weights in 8-bit floating point; activations stay as they are.</summary>
/// <remarks>The counterpart of torchao's <c>Float8WeightOnlyConfig</c>; <see cref="Granularity"/> is ours.</remarks>
public sealed record Float8WeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the type of the codes.</summary>
    /// <value><see cref="ScalarTypes.Float8E4M3"/> (the default) or <see cref="ScalarTypes.Float8E5M2"/>.</value>
    public ScalarType WeightDType { get; init; } = ScalarTypes.Float8E4M3;

    /// <summary>Gets how many scales a weight has.</summary>
    /// <value><see cref="Float8Granularity.PerRow"/> by default, as in torchao.</value>
    public Float8Granularity Granularity { get; init; }
}

internal sealed class Float8WeightOnlyHandler : QuantizeHandler<Float8WeightOnlyConfig>
{
    public override string ConfigName => "float8_weight_only";

    public override string FormatName => Float8Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Float8WeightOnlyConfig config)
    {
        Float8Codes.Require(nameof(config.WeightDType), config.WeightDType);
        return Enum.IsDefined(config.Granularity)
            ? null
            : throw new QuantizationException(
                $"Granularity is {(int)config.Granularity}, expected Float8Granularity.PerRow or PerTensor.");
    }

    protected override long PredictBytes(in WeightFacts weight, Float8WeightOnlyConfig config) =>
        Float8Codes.Bytes(weight, config.Granularity, weight.ElementBytes);

    protected override long GroupSize(in WeightFacts weight, Float8WeightOnlyConfig config) => weight.InFeatures;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Float8WeightOnlyConfig config) =>
        new Float8Grid(config.WeightDType, config.Granularity);
}
