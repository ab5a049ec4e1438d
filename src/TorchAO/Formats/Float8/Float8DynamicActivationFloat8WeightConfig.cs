using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8;

/// <summary>Stores linear weights in 8-bit floating point and rounds activations to it at each call; scales are float32.</summary>
/// <remarks>
/// The counterpart of torchao's <c>Float8DynamicActivationFloat8WeightConfig</c>. Casts saturate. Any weight type will do with either
/// granularity, and any device; torchao takes bfloat16 alone per row, and recent GPUs alone.
/// </remarks>
public sealed record Float8DynamicActivationFloat8WeightConfig : QuantizeConfig
{
    /// <summary>Gets the type of the activations' codes.</summary>
    /// <value><see cref="ScalarTypes.Float8E4M3"/> (the default) or <see cref="ScalarTypes.Float8E5M2"/>.</value>
    public ScalarType ActivationDType { get; init; } = ScalarTypes.Float8E4M3;

    /// <summary>Gets the type of the weights' codes.</summary>
    /// <value><see cref="ScalarTypes.Float8E4M3"/> (the default) or <see cref="ScalarTypes.Float8E5M2"/>.</value>
    public ScalarType WeightDType { get; init; } = ScalarTypes.Float8E4M3;

    /// <summary>Gets how many scales activations and weight have.</summary>
    /// <value><see cref="Float8Granularity.PerTensor"/> (the default, as in torchao): one each.
    /// <see cref="Float8Granularity.PerRow"/>: one a token and one a weight row.</value>
    public Float8Granularity Granularity { get; init; } = Float8Granularity.PerTensor;
}

internal sealed class Float8DynamicActivationFloat8WeightHandler : QuantizeHandler<Float8DynamicActivationFloat8WeightConfig>
{
    public override string ConfigName => "float8_dynamic_activation_float8_weight";

    public override string FormatName => Float8Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Float8DynamicActivationFloat8WeightConfig config)
    {
        Float8Codes.Require(nameof(config.WeightDType), config.WeightDType);
        Activation(config);
        return Float8Codes.ReasonToSkipProduct(weight);
    }

    protected override long PredictBytes(in WeightFacts weight, Float8DynamicActivationFloat8WeightConfig config) =>
        Float8Codes.Bytes(weight, config.Granularity, sizeof(float));

    protected override long GroupSize(in WeightFacts weight, Float8DynamicActivationFloat8WeightConfig config) => weight.InFeatures;

    protected override ActivationScheme? Activation(Float8DynamicActivationFloat8WeightConfig config)
    {
        Float8Codes.Require(nameof(config.ActivationDType), config.ActivationDType);
        return ActivationScheme.Float8(
            QuantizedType.Of(config.ActivationDType), isPerTensor: config.Granularity == Float8Granularity.PerTensor);
    }

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Float8DynamicActivationFloat8WeightConfig config) =>
        new Float8Grid(config.WeightDType, config.Granularity, ScalarType.Float32);
}
