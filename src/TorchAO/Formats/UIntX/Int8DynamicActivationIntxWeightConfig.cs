using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.UIntX;

/// <summary>Stores linear weights as signed integers of 1 to 8 bits, and rounds activations to int8, one scale and zero point a token.</summary>
/// <remarks>
/// torchao's experimental <c>int8_dynamic_activation_intx_weight</c>; its int6, which is really 4 bits there, has 6 bits here. The
/// layouts of its Arm kernels, and its quantize-dequantize form for export, are no options: the numbers are the same.
/// </remarks>
public sealed record Int8DynamicActivationIntxWeightConfig : QuantizeConfig
{
    /// <summary>Gets the type of the weight's codes.</summary>
    /// <value>int1 to int8; int4 by default.</value>
    public QuantizedType WeightDType { get; init; } = QuantizedType.Int4;

    /// <summary>Gets what shares a weight scale, as in <see cref="IntxWeightOnlyConfig.Granularity"/>.</summary>
    /// <value><see cref="PerGroup"/> of 128 by default.</value>
    public Granularity Granularity { get; init; } = new PerGroup(128);

    /// <summary>Gets how a group's weights are laid onto the codes, as in <see cref="IntxWeightOnlyConfig.MappingType"/>.</summary>
    /// <value><see cref="MappingType.Symmetric"/> by default, without zero points.</value>
    public MappingType WeightMappingType { get; init; } = MappingType.Symmetric;

    /// <summary>Gets whether an asymmetric mapping stores zero points, as in <see cref="IntxWeightOnlyConfig.HasWeightZeros"/>.</summary>
    /// <value>Off by default.</value>
    public bool HasWeightZeros { get; init; }

    /// <summary>Gets the same weights without rounded activations.</summary>
    internal IntxWeightOnlyConfig Weights => new()
    {
        WeightDType = WeightDType,
        Granularity = Granularity,
        MappingType = WeightMappingType,
        HasWeightZeros = HasWeightZeros,
    };
}

internal sealed class Int8DynamicActivationIntxWeightHandler : QuantizeHandler<Int8DynamicActivationIntxWeightConfig>
{
    private static readonly IntxWeightOnlyHandler Plain = new();

    public override string ConfigName => "int8_dynamic_activation_intx_weight";

    public override string FormatName => UIntXFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int8DynamicActivationIntxWeightConfig config) =>
        Plain.ReasonToSkip(weight, (QuantizeConfig)config.Weights);

    protected override long PredictBytes(in WeightFacts weight, Int8DynamicActivationIntxWeightConfig config) =>
        Plain.PredictBytes(weight, (QuantizeConfig)config.Weights);

    protected override long GroupSize(in WeightFacts weight, Int8DynamicActivationIntxWeightConfig config) =>
        Plain.GroupSize(weight, (QuantizeConfig)config.Weights);

    protected override ActivationScheme? Activation(Int8DynamicActivationIntxWeightConfig config) =>
        ActivationScheme.Int8PerTokenAsymmetric;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int8DynamicActivationIntxWeightConfig config) =>
        IntxWeightOnlyHandler.GridOf(weight, config.Weights);
}
