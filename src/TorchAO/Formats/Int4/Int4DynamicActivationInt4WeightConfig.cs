using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int4;

/// <summary>Stores linear weights in 4 bits, one scale a row, and rounds activations to int4, one scale a token (W4A4).</summary>
/// <remarks>
/// The counterpart of torchao's <c>Int4DynamicActivationInt4WeightConfig</c>, symmetric on both sides. Sixteen steps for a whole
/// token are coarse: rotate or smooth the model first, or keep sensitive layers at 8 bits by rules.
/// </remarks>
public sealed record Int4DynamicActivationInt4WeightConfig : QuantizeConfig
{
    /// <summary>Gets how a row's weights are laid onto the codes −8…7.</summary>
    /// <value><see cref="MappingType.Symmetric"/>, the only one.</value>
    public MappingType MappingType { get; init; } = MappingType.Symmetric;

    /// <summary>Gets how a token's values are laid onto the codes −8…7.</summary>
    /// <value><see cref="MappingType.Symmetric"/>, the only one.</value>
    public MappingType ActMappingType { get; init; } = MappingType.Symmetric;
}

internal sealed class Int4DynamicActivationInt4WeightHandler : QuantizeHandler<Int4DynamicActivationInt4WeightConfig>
{
    public override string ConfigName => "int4_dynamic_activation_int4_weight";

    public override string FormatName => Int4Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int4DynamicActivationInt4WeightConfig config)
    {
        Activation(config);
        return null;
    }

    protected override long PredictBytes(in WeightFacts weight, Int4DynamicActivationInt4WeightConfig config) =>
        weight.OutFeatures * (((weight.InFeatures + 1) / 2) + weight.ElementBytes);

    protected override long GroupSize(in WeightFacts weight, Int4DynamicActivationInt4WeightConfig config) => weight.InFeatures;

    protected override ActivationScheme? Activation(Int4DynamicActivationInt4WeightConfig config) =>
        config is { MappingType: MappingType.Symmetric, ActMappingType: MappingType.Symmetric }
            ? ActivationScheme.Int4PerToken
            : throw new QuantizationException(
                $"MappingType is {config.MappingType} and ActMappingType {config.ActMappingType}, expected MappingType.Symmetric for " +
                "both: products of 4-bit codes have no room for zero points.");

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int4DynamicActivationInt4WeightConfig config) =>
        new Int4Grid(weight.InFeatures, MappingType.Symmetric);
}
