using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int4;

/// <summary>Stores linear weights in 4 bits, group by group, and rounds activations to int8, one scale a token (W4A8).</summary>
/// <remarks>
/// The counterpart of torchao's <c>Int8DynamicActivationInt4WeightConfig</c>; its CUTLASS and Marlin-QQQ layouts are kernels of
/// this one format here.
/// </remarks>
public sealed record Int8DynamicActivationInt4WeightConfig : QuantizeConfig
{
    /// <summary>Gets the count of consecutive input features that share one scale.</summary>
    /// <value>A divisor of <c>in_features</c>, 32 by default; <see langword="null"/> or -1 gives each row one scale. A weight
    /// whose rows it does not divide is left alone, with that reason in the report.</value>
    public long? GroupSize { get; init; } = 32;

    /// <summary>Gets how a group's weights are laid onto the codes −8…7.</summary>
    /// <value><see cref="MappingType.Symmetric"/> by default; <see cref="MappingType.SymmetricNoClippingError"/> makes the step large
    /// enough for both ends of the range; <see cref="MappingType.Asymmetric"/> stores the code of zero for each scale, one byte.</value>
    public MappingType MappingType { get; init; } = MappingType.Symmetric;

    /// <summary>Gets how a token's values are laid onto the codes.</summary>
    /// <value><see cref="MappingType.Asymmetric"/> by default, as in torchao; or <see cref="MappingType.Symmetric"/>, whose
    /// products need no correction for zero points.</value>
    public MappingType ActMappingType { get; init; } = MappingType.Asymmetric;
}

internal sealed class Int8DynamicActivationInt4WeightHandler : QuantizeHandler<Int8DynamicActivationInt4WeightConfig>
{
    public override string ConfigName => "int8_dynamic_activation_int4_weight";

    public override string FormatName => Int4Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config) =>
        GroupSizes.ReasonToSkip(config.GroupSize, weight);

    protected override long PredictBytes(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config) =>
        weight.OutFeatures
        * (((weight.InFeatures + 1) / 2) + (weight.InFeatures / GroupSize(weight, config) * GroupBytes(weight, config)));

    protected override long GroupSize(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config) =>
        GroupSizes.Resolve(config.GroupSize, weight.InFeatures);

    // torchao's symmetric int8 activations have float32 scales here, whatever their type.
    protected override ActivationScheme? Activation(Int8DynamicActivationInt4WeightConfig config) =>
        config.ActMappingType == MappingType.Symmetric
            ? ActivationScheme.Int8PerToken with { HasFloat32Scales = true }
            : ActivationMappings.Int8(config.ActMappingType);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config) =>
        new Int4Grid(
            GroupSize(weight, config), config.MappingType, domain: ZeroPointDomain.Integer, smallestStep: AffineRows.Float32Epsilon);

    private static long GroupBytes(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config) =>
        weight.ElementBytes + (config.MappingType == MappingType.Asymmetric ? 1 : 0);
}
