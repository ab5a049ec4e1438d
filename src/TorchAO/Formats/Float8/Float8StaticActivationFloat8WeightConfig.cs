using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8;

/// <summary>Stores linear weights in 8-bit floating point and rounds activations to it with a scale measured beforehand.</summary>
/// <remarks>
/// The counterpart of torchao's <c>Float8StaticActivationFloat8WeightConfig</c>. Each layer wants a scale of its own:
/// <c>model.Calibrate</c> measures all of them, a rule gives one. Activations beyond the measured range saturate.
/// </remarks>
public sealed record Float8StaticActivationFloat8WeightConfig : QuantizeConfig, IStaticActivationConfig
{
    /// <summary>Gets the activations' scale: their largest magnitude, divided by the largest value of the type.</summary>
    /// <value>Positive and finite; <see langword="null"/> (the default) leaves it to a calibration.</value>
    public float? Scale { get; init; }

    /// <summary>Gets the type of the activations' codes.</summary>
    /// <value><see cref="ScalarTypes.Float8E4M3"/> (the default) or <see cref="ScalarTypes.Float8E5M2"/>.</value>
    public ScalarType ActivationDType { get; init; } = ScalarTypes.Float8E4M3;

    /// <summary>Gets the type of the weights' codes.</summary>
    /// <value><see cref="ScalarTypes.Float8E4M3"/> (the default) or <see cref="ScalarTypes.Float8E5M2"/>.</value>
    public ScalarType WeightDType { get; init; } = ScalarTypes.Float8E4M3;

    // Explicit, so that it is no option of the config's text.
    bool IStaticActivationConfig.NeedsRange => Scale is null;

    /// <inheritdoc/>
    public QuantizeConfig WithRange(float min, float max)
    {
        Float8Codes.Require(nameof(ActivationDType), ActivationDType);
        ActivationScheme scheme = ActivationScheme.Float8(QuantizedType.Of(ActivationDType), isPerTensor: true);
        return this with { Scale = scheme.ChooseStaticScale(min, max) };
    }
}

internal sealed class Float8StaticActivationFloat8WeightHandler : QuantizeHandler<Float8StaticActivationFloat8WeightConfig>
{
    public override string ConfigName => "float8_static_activation_float8_weight";

    public override string FormatName => Float8Format.FormatName;

    // For listings and contract tests; users get no default scale.
    public override QuantizeConfig DefaultConfig => new Float8StaticActivationFloat8WeightConfig { Scale = 1 };

    protected override string? ReasonToSkip(in WeightFacts weight, Float8StaticActivationFloat8WeightConfig config)
    {
        Float8Codes.Require(nameof(config.WeightDType), config.WeightDType);
        Activation(config);
        return Float8Codes.ReasonToSkipProduct(weight);
    }

    protected override long PredictBytes(in WeightFacts weight, Float8StaticActivationFloat8WeightConfig config) =>
        Float8Codes.Bytes(weight, Float8Granularity.PerTensor, sizeof(float));

    protected override long GroupSize(in WeightFacts weight, Float8StaticActivationFloat8WeightConfig config) => weight.InFeatures;

    protected override ActivationScheme? Activation(Float8StaticActivationFloat8WeightConfig config)
    {
        Float8Codes.Require(nameof(config.ActivationDType), config.ActivationDType);
        float scale = config.Scale ?? throw new QuantizationException(
            $"{ConfigName}: Scale is missing, expected the largest magnitude of the layer's inputs divided by the largest value of " +
            $"{ScalarTypes.NameOf(config.ActivationDType)}. Measure it by model.Calibrate and pass the result as QuantizeOptions.Calibration, or set it by rule.");
        return ActivationScheme.Float8(QuantizedType.Of(config.ActivationDType), isPerTensor: true, scale);
    }

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Float8StaticActivationFloat8WeightConfig config) =>
        new Float8Grid(config.WeightDType, Float8Granularity.PerTensor, ScalarType.Float32);
}
