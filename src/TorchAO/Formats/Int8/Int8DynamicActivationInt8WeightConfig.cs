using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int8;

/// <summary>Stores linear weights as symmetric int8, one scale a row, and rounds activations to int8, one scale a token.</summary>
/// <remarks>
/// The counterpart of torchao's <c>Int8DynamicActivationInt8WeightConfig</c>; layouts are the kernels' business here. Layers of 16
/// input features or fewer are left alone, as in torchao.
/// </remarks>
public sealed record Int8DynamicActivationInt8WeightConfig : QuantizeConfig
{
    /// <summary>Gets how a token's values are laid onto the codes.</summary>
    /// <value><see cref="MappingType.Symmetric"/> (the default): −127…127. <see cref="MappingType.Asymmetric"/>: −128…127 with a
    /// zero point, for activations that are mostly of one sign.</value>
    public MappingType ActMappingType { get; init; } = MappingType.Symmetric;

    /// <summary>Gets whether inputs <c>[…, 1, K]</c>, sequences of one token, stay in floating point.</summary>
    /// <value>Off by default. On: decode is weight-only, prefill multiplies integers.</value>
    public bool WeightOnlyDecode { get; init; }
}

internal sealed class Int8DynamicActivationInt8WeightHandler : QuantizeHandler<Int8DynamicActivationInt8WeightConfig>
{
    private const long FewestFeatures = 16;

    public override string ConfigName => "int8_dynamic_activation_int8_weight";

    public override string FormatName => Int8Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int8DynamicActivationInt8WeightConfig config) =>
        weight.InFeatures > FewestFeatures
            ? null
            : $"in_features {weight.InFeatures} is not more than {FewestFeatures}, so rounding activations costs more than it saves; " +
              "use Int8WeightOnlyConfig for this layer";

    protected override long PredictBytes(in WeightFacts weight, Int8DynamicActivationInt8WeightConfig config) =>
        weight.OutFeatures * (weight.InFeatures + weight.ElementBytes);

    protected override long GroupSize(in WeightFacts weight, Int8DynamicActivationInt8WeightConfig config) => weight.InFeatures;

    protected override ActivationScheme? Activation(Int8DynamicActivationInt8WeightConfig config) =>
        ActivationMappings.Int8(config.ActMappingType) with { IsWeightOnlyInDecode = config.WeightOnlyDecode };

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int8DynamicActivationInt8WeightConfig config) =>
        new Int8Grid(weight.InFeatures);
}
