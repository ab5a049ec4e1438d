using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>Stores linear weights in 4 bits, group by group, and rounds activations to int8, one scale a token (W4A8).</summary>
/// <remarks>
/// The counterpart of torchao's <c>Int8DynamicActivationInt4WeightConfig</c>. Its layouts are orders of bytes for kernels, not
/// formats; what <c>MarlinQQQLayout</c> changes in the numbers is <see cref="UseQqq"/> here.
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

    /// <summary>Gets whether scales are those of QQQ, whose kernels multiply int8 by int8 alone.</summary>
    /// <value>Off by default. On: Zhang et al. 2024 (arXiv:2406.09904). A row with one scale takes a step of 1/7 of its largest
    /// magnitude and the codes −7…7. Groups of 128 have scales in two levels: float16, in steps of their row's float32 scale, so
    /// that code times scale, rounded, is an int8 of the row. Asks for a <see cref="GroupSize"/> of 128, or null (or -1), and for
    /// <see cref="MappingType.Symmetric"/> on both sides.</value>
    public bool UseQqq { get; init; }
}

internal sealed class Int8DynamicActivationInt4WeightHandler : QuantizeHandler<Int8DynamicActivationInt4WeightConfig>
{
    public override string ConfigName => "int8_dynamic_activation_int4_weight";

    public override string FormatName => Int4Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config)
    {
        RequireConsistent(config);
        return GroupSizes.ReasonToSkip(config.GroupSize, weight);
    }

    protected override long PredictBytes(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config)
    {
        long groups = weight.InFeatures / GroupSize(weight, config);
        long scaleBytes = config.UseQqq && groups > 1
            ? (groups * QqqGrid.GroupScaleBytes) + QqqGrid.ChannelScaleBytes
            : groups * (weight.ElementBytes + (config.MappingType == MappingType.Asymmetric ? 1 : 0));
        return weight.OutFeatures * (((weight.InFeatures + 1) / 2) + scaleBytes);
    }

    protected override long GroupSize(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config) =>
        GroupSizes.Resolve(config.GroupSize, weight.InFeatures);

    // torchao's symmetric int8 activations have float32 scales here, whatever their type.
    protected override ActivationScheme? Activation(Int8DynamicActivationInt4WeightConfig config) =>
        config.ActMappingType == MappingType.Symmetric
            ? ActivationScheme.Int8PerToken with { HasFloat32Scales = true }
            : ActivationMappings.Int8(config.ActMappingType);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int8DynamicActivationInt4WeightConfig config) =>
        config.UseQqq
            ? new QqqGrid(GroupSize(weight, config))
            : new Int4Grid(
                GroupSize(weight, config), config.MappingType, domain: ZeroPointDomain.Integer, smallestStep: AffineRows.Float32Epsilon);

    protected override bool IsChosenByGrid(Int8DynamicActivationInt4WeightConfig config) => !config.UseQqq;

    protected override (Tensor Codes, QParams QParams) Choose(
        Tensor weight, IQuantizationGrid grid, Int8DynamicActivationInt4WeightConfig config) =>
        grid is QqqGrid qqq ? qqq.Choose(weight) : base.Choose(weight, grid, config);

    private static void RequireConsistent(Int8DynamicActivationInt4WeightConfig config)
    {
        if (!config.UseQqq)
        {
            return;
        }

        if (config is not { MappingType: MappingType.Symmetric, ActMappingType: MappingType.Symmetric })
        {
            throw new QuantizationException(
                $"UseQqq with MappingType {config.MappingType} and ActMappingType {config.ActMappingType}, expected " +
                "MappingType.Symmetric for both: products of int8 alone have no room for zero points. Set both.");
        }

        if (config.GroupSize is not (null or -1 or QqqGrid.GroupSize))
        {
            throw new QuantizationException(
                $"UseQqq with GroupSize {config.GroupSize}, expected {QqqGrid.GroupSize}, or null (or -1) for one scale a row.");
        }
    }
}
