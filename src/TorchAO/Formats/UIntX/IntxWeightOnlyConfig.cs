using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.UIntX;

/// <summary>Stores linear weights as signed integers of 1 to 8 bits, by group or row; activations stay in floating point.</summary>
/// <remarks>
/// The weights of torchao's experimental <c>int8_dynamic_activation_intx_weight</c> alone, bit for bit; its int6, which is
/// really 4 bits there, has 6 bits here.
/// </remarks>
public sealed record IntxWeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the type of the codes.</summary>
    /// <value>int1 to int8; int4 by default.</value>
    public QuantizedType WeightDType { get; init; } = QuantizedType.Int4;

    /// <summary>Gets what shares a scale.</summary>
    /// <value><see cref="PerGroup"/> of 128 by default; <see cref="PerRow"/>, or <see cref="PerAxis"/> of axis 0, which is the
    /// same for a linear weight. A weight whose rows a group does not divide is left alone, with that reason in the
    /// report.</value>
    public Granularity Granularity { get; init; } = new PerGroup(128);

    /// <summary>Gets how a group's values are laid onto the codes.</summary>
    /// <value><see cref="MappingType.Symmetric"/> by default, without zero points.</value>
    public MappingType MappingType { get; init; } = MappingType.Symmetric;

    /// <summary>Gets whether an asymmetric mapping stores zero points, one byte a group.</summary>
    /// <value>Off by default. An asymmetric mapping without zero points takes its step from the range of a group but keeps the
    /// codes about zero, so that a group whose values lie on one side is cut off: torchao's default, kept for comparison.</value>
    public bool HasWeightZeros { get; init; }
}

internal sealed class IntxWeightOnlyHandler : QuantizeHandler<IntxWeightOnlyConfig>
{
    public override string ConfigName => "intx_weight_only";

    public override string FormatName => UIntXFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, IntxWeightOnlyConfig config)
    {
        if (CodeBits.OfSigned(config.WeightDType) is null)
        {
            throw new QuantizationException(
                $"WeightDType is {config.WeightDType?.Name ?? "null"}, expected int1 to int8; for unsigned codes choose " +
                "UIntXWeightOnlyConfig.");
        }

        return GroupSizes.ReasonToSkip(ConfiguredGroup(config), weight);
    }

    protected override long PredictBytes(in WeightFacts weight, IntxWeightOnlyConfig config) => UIntXSizes.Bytes(
        weight,
        CodeBits.OfSigned(config.WeightDType)!.Value,
        GroupSize(weight, config),
        config.HasWeightZeros && config.MappingType == MappingType.Asymmetric ? 1 : 0);

    protected override long GroupSize(in WeightFacts weight, IntxWeightOnlyConfig config) =>
        GroupSizes.Resolve(ConfiguredGroup(config), weight.InFeatures);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, IntxWeightOnlyConfig config) => GridOf(weight, config);

    /// <summary>Makes the grid of a config that fits.</summary>
    internal static UIntXGrid GridOf(in WeightFacts weight, IntxWeightOnlyConfig config)
    {
        int bits = CodeBits.OfSigned(config.WeightDType)!.Value;
        return new UIntXGrid(
            bits,
            GroupSizes.Resolve(ConfiguredGroup(config), weight.InFeatures),
            UIntXGrid.Signed(bits, config.MappingType, config.HasWeightZeros));
    }

    private static long? ConfiguredGroup(IntxWeightOnlyConfig config) => config.Granularity switch
    {
        PerGroup { Size: > 0 } group => group.Size,
        PerRow or PerAxis { Axis: 0 or -2 } => null,
        _ => throw new QuantizationException(
            $"Granularity is {config.Granularity?.ToString() ?? "null"}, expected PerGroup of a positive size, PerRow, or " +
            "PerAxis of axis 0."),
    };
}
