using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

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

    /// <summary>Gets whether codes and zero points come from half-quadratic quantization, which needs no data and takes longer.</summary>
    /// <value>Off by default, where scale and zero point follow from the least and largest value of a group. On: Badri and Shaji
    /// 2023; asks for the asymmetric mapping with <see cref="ZeroPointDomain.Float"/>.</value>
    public bool UseHqq { get; init; }

    /// <summary>Gets what a zero point of an asymmetric mapping is.</summary>
    /// <value><see cref="ZeroPointDomain.Float"/> (the default): the value of code 8, in the weight's type.
    /// <see cref="ZeroPointDomain.Integer"/>: the code of value 0, one byte, so that zero itself is met exactly. A symmetric
    /// mapping has zero at code 8 and stores no zero point, whatever this says; <see cref="ZeroPointDomain.None"/> asks for
    /// one. torchao's default, its NONE, means the layout's own and is Float here.</value>
    public ZeroPointDomain ZeroPointDomain { get; init; } = ZeroPointDomain.Float;
}

internal sealed class Int4WeightOnlyHandler : QuantizeHandler<Int4WeightOnlyConfig>
{
    public override string ConfigName => "int4_weight_only";

    public override string FormatName => Int4Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int4WeightOnlyConfig config)
    {
        RequireConsistent(config);
        return GroupSizes.ReasonToSkip(config.GroupSize, weight);
    }

    protected override long PredictBytes(in WeightFacts weight, Int4WeightOnlyConfig config)
    {
        long groups = weight.InFeatures / GroupSize(weight, config);
        long zeroPointBytes = config.MappingType != MappingType.Asymmetric ? 0
            : config.ZeroPointDomain == ZeroPointDomain.Integer ? 1
            : weight.ElementBytes;
        return weight.OutFeatures * (((weight.InFeatures + 1) / 2) + (groups * (weight.ElementBytes + zeroPointBytes)));
    }

    protected override long GroupSize(in WeightFacts weight, Int4WeightOnlyConfig config) =>
        GroupSizes.Resolve(config.GroupSize, weight.InFeatures);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int4WeightOnlyConfig config) =>
        new Int4Grid(GroupSize(weight, config), config.MappingType, config.NarrowRange, config.ZeroPointDomain);

    protected override bool IsChosenByGrid(Int4WeightOnlyConfig config) => !config.UseHqq;

    protected override (Tensor Codes, QParams QParams) Choose(
        Tensor weight, IQuantizationGrid grid, Int4WeightOnlyConfig config) => config.UseHqq
            ? HqqRows.Quantize(weight, 4, GroupSizes.Resolve(config.GroupSize, weight.size(1)))
            : base.Choose(weight, grid, config);

    private static void RequireMembers(Int4WeightOnlyConfig config)
    {
        if (!Enum.IsDefined(config.MappingType))
        {
            throw new QuantizationException(
                $"MappingType is {(int)config.MappingType}, expected {string.Join(" or ", Enum.GetNames<MappingType>())}.");
        }

        if (!Enum.IsDefined(config.ZeroPointDomain))
        {
            throw new QuantizationException(
                $"ZeroPointDomain is {(int)config.ZeroPointDomain}, expected {string.Join(" or ", Enum.GetNames<ZeroPointDomain>())}.");
        }
    }

    private static void RequireConsistent(Int4WeightOnlyConfig config)
    {
        RequireMembers(config);
        bool isSymmetric = config.MappingType != MappingType.Asymmetric;
        if (config.NarrowRange && config.MappingType != MappingType.Symmetric)
        {
            throw new QuantizationException(
                $"NarrowRange with MappingType {config.MappingType}, expected MappingType.Symmetric; the other grids use all " +
                "sixteen codes, so leave NarrowRange off.");
        }

        if (config.UseHqq && (isSymmetric || config.ZeroPointDomain != ZeroPointDomain.Float))
        {
            throw new QuantizationException(
                $"UseHqq with MappingType {config.MappingType} and ZeroPointDomain {config.ZeroPointDomain}, expected " +
                "MappingType.Asymmetric and ZeroPointDomain.Float: half-quadratic quantization finds zero points that are " +
                "values. Leave both at their defaults.");
        }

        if (!isSymmetric && config.ZeroPointDomain == ZeroPointDomain.None)
        {
            throw new QuantizationException(
                "ZeroPointDomain None with MappingType Asymmetric, expected Float or Integer; for a weight without zero points " +
                "choose MappingType.Symmetric.");
        }
    }
}
