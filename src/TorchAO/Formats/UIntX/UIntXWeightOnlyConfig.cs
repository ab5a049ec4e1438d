using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.UIntX;

/// <summary>Stores linear weights in 1 to 8 bits, group by group; activations stay in floating point.</summary>
/// <remarks>The counterpart of torchao's <c>UIntXWeightOnlyConfig</c>, whose arithmetic it shares bit for bit.</remarks>
public sealed record UIntXWeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the type of the codes; torchao's <c>dtype</c>.</summary>
    /// <value>uint1 to uint7, and uint8 with <see cref="UseHqq"/>; uint4 by default. For 8 bits without it, int8 weights are
    /// the better choice.</value>
    public QuantizedType DType { get; init; } = QuantizedType.UInt4;

    /// <summary>Gets the count of consecutive input features that share one scale.</summary>
    /// <value>A divisor of <c>in_features</c>, 64 by default; <see langword="null"/> or -1 gives each row one scale. A weight
    /// whose rows it does not divide is left alone, with that reason in the report.</value>
    public long? GroupSize { get; init; } = 64;

    /// <summary>Gets the dimension along which torchao packs.</summary>
    /// <value>-1 (the default), 0 or 1. Has no effect on what is computed or stored here, where codes are always packed along
    /// rows.</value>
    public int PackDim { get; init; } = -1;

    /// <summary>Gets whether codes and zero points come from half-quadratic quantization, which needs no data and takes longer.</summary>
    /// <value>Off by default, where scale and zero point follow from the least and largest value of a group, and zero points
    /// are codes. On, zero points are values in the weight's type. Badri and Shaji 2023.</value>
    public bool UseHqq { get; init; }
}

internal sealed class UIntXWeightOnlyHandler : QuantizeHandler<UIntXWeightOnlyConfig>
{
    public override string ConfigName => "uintx_weight_only";

    public override string FormatName => UIntXFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, UIntXWeightOnlyConfig config)
    {
        int most = config.UseHqq ? 8 : 7;
        if (CodeBits.OfUnsigned(config.DType) is not { } bits || bits > most)
        {
            throw new QuantizationException(
                $"DType is {config.DType?.Name ?? "null"}{(config.UseHqq ? " with UseHqq" : "")}, expected uint1 to uint{most}; " +
                "for 8 bits choose Int8WeightOnlyConfig, or UseHqq with uint8.");
        }

        return config.PackDim is -1 or 0 or 1
            ? GroupSizes.ReasonToSkip(config.GroupSize, weight)
            : throw new QuantizationException(
                $"PackDim is {config.PackDim}, expected -1, 0 or 1: a weight has two dimensions. Leave it at -1.");
    }

    protected override long PredictBytes(in WeightFacts weight, UIntXWeightOnlyConfig config) => UIntXSizes.Bytes(
        weight, Bits(config), GroupSize(weight, config), config.UseHqq ? weight.ElementBytes : sizeof(int));

    protected override long GroupSize(in WeightFacts weight, UIntXWeightOnlyConfig config) =>
        GroupSizes.Resolve(config.GroupSize, weight.InFeatures);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, UIntXWeightOnlyConfig config)
    {
        int bits = Bits(config);
        return new UIntXGrid(
            bits,
            GroupSize(weight, config),
            config.UseHqq ? UIntXGrid.Valued(bits, AffineRows.Float32Epsilon) : UIntXGrid.Unsigned(bits));
    }

    protected override bool IsChosenByGrid(UIntXWeightOnlyConfig config) => !config.UseHqq;

    protected override (Tensor Codes, QParams QParams) Choose(
        Tensor weight, IQuantizationGrid grid, UIntXWeightOnlyConfig config) => config.UseHqq
            ? HqqRows.Quantize(weight, Bits(config), GroupSizes.Resolve(config.GroupSize, weight.size(1)))
            : base.Choose(weight, grid, config);

    private static int Bits(UIntXWeightOnlyConfig config) => CodeBits.OfUnsigned(config.DType)!.Value;
}
