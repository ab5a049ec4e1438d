using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int4;

/// <summary>Stores linear weights in 4 bits, group by group; activations stay in floating point.</summary>
/// <remarks>
/// The counterpart of torchao's <c>Int4WeightOnlyConfig</c>, whose arithmetic it shares; layouts are the kernels' business
/// here. <see cref="MappingType"/> is ours.
/// </remarks>
public sealed record Int4WeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the count of consecutive input features that share one scale.</summary>
    /// <value>A divisor of <c>in_features</c>, 128 by default; <see langword="null"/> or -1 gives each row one scale. A weight
    /// whose rows it does not divide is left alone, with that reason in the report.</value>
    public long? GroupSize { get; init; } = 128;

    /// <summary>Gets how a group's values are laid onto the sixteen codes.</summary>
    /// <value><see cref="MappingType.Asymmetric"/> (the default) stores a floating-point zero point for each scale and uses all
    /// sixteen codes; <see cref="MappingType.Symmetric"/> stores none.</value>
    public MappingType MappingType { get; init; } = MappingType.Asymmetric;

    /// <summary>Gets whether a symmetric grid uses the codes -7 to 7 alone.</summary>
    /// <value>Off by default: a step is 2/15 of the group's largest magnitude, as in torchao, and that magnitude itself is cut
    /// by half a step on the positive side. On: a step is 1/7 of it, and both ends are met exactly. Asks for
    /// <see cref="MappingType.Symmetric"/>.</value>
    public bool NarrowRange { get; init; }
}

internal sealed class Int4WeightOnlyHandler : QuantizeHandler<Int4WeightOnlyConfig>
{
    public override string ConfigName => "int4_weight_only";

    public override string FormatName => Int4Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int4WeightOnlyConfig config) =>
        !Enum.IsDefined(config.MappingType)
            ? throw new QuantizationException(
                $"MappingType is {(int)config.MappingType}, expected {string.Join(" or ", Enum.GetNames<MappingType>())}.")
        : config.NarrowRange && config.MappingType != MappingType.Symmetric
            ? throw new QuantizationException(
                $"NarrowRange with MappingType {config.MappingType}, expected MappingType.Symmetric; the other grids use all " +
                "sixteen codes, so leave NarrowRange off.")
        : GroupSizes.ReasonToSkip(config.GroupSize, weight);

    protected override long PredictBytes(in WeightFacts weight, Int4WeightOnlyConfig config)
    {
        long groups = weight.InFeatures / GroupSize(weight, config);
        long numbersPerGroup = config.MappingType == MappingType.Asymmetric ? 2 : 1;
        return weight.OutFeatures * (((weight.InFeatures + 1) / 2) + (groups * numbersPerGroup * weight.ElementBytes));
    }

    protected override long GroupSize(in WeightFacts weight, Int4WeightOnlyConfig config) =>
        GroupSizes.Resolve(config.GroupSize, weight.InFeatures);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int4WeightOnlyConfig config) =>
        new Int4Grid(GroupSize(weight, config), config.MappingType, config.NarrowRange);
}
