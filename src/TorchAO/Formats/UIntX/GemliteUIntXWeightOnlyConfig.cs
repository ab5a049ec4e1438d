using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.UIntX;

/// <summary>Stores linear weights in 4 or 8 bits with the numbers that torchao chooses for the GemLite kernels.</summary>
/// <remarks>
/// The counterpart of torchao's <c>GemliteUIntXWeightOnlyConfig</c>. Packing is the kernels' business here, so the options that
/// steer GemLite's are checked and have no effect. torchao takes float16 weights on CUDA alone; here every type and device is
/// taken. A zero point is kept as a value, not as a fraction of a code, which rounds it to float16 more finely.
/// </remarks>
public sealed record GemliteUIntXWeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the count of consecutive input features that share one scale.</summary>
    /// <value>32, 64 (the default), 128, 256, 512 or 1024, or <see langword="null"/> for one scale a row, which 8 bits ask
    /// for. A weight whose rows it does not divide is left alone, with that reason in the report.</value>
    public long? GroupSize { get; init; } = 64;

    /// <summary>Gets the bits of a code.</summary>
    /// <value>4 (the default): asymmetric, half-quadratic. 8: symmetric, one scale a row.</value>
    public int BitWidth { get; init; } = 4;

    /// <summary>Gets the bits of the words in which GemLite packs.</summary>
    /// <value>8, 16 or 32 (the default). Has no effect here.</value>
    public int PackingBitwidth { get; init; } = 32;

    /// <summary>Gets whether GemLite's packed weight is contiguous.</summary>
    /// <value><see langword="null"/> (the default) leaves it to the kernel. Has no effect here.</value>
    public bool? Contiguous { get; init; }

    /// <summary>Gets whether 4-bit codes and zero points come from half-quadratic quantization.</summary>
    /// <value>On by default, as in torchao, which has no such option. Off: from the least and largest value of a group. Without
    /// meaning for 8 bits.</value>
    public bool UseHqq { get; init; } = true;
}

internal sealed class GemliteUIntXWeightOnlyHandler : QuantizeHandler<GemliteUIntXWeightOnlyConfig>
{
    private const double FourBitEpsilon = 1e-6;
    private const double EightBitEpsilon = 1e-5;

    public override string ConfigName => "gemlite_uintx_weight_only";

    public override string FormatName => UIntXFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, GemliteUIntXWeightOnlyConfig config)
    {
        string? problem = config switch
        {
            { BitWidth: not (4 or 8) } => $"BitWidth is {config.BitWidth}, expected 4 or 8",
            { PackingBitwidth: not (8 or 16 or 32) } => $"PackingBitwidth is {config.PackingBitwidth}, expected 8, 16 or 32",
            { GroupSize: not (null or 32 or 64 or 128 or 256 or 512 or 1024) } =>
                $"GroupSize is {config.GroupSize}, expected 32, 64, 128, 256, 512, 1024, or null for one scale a row",
            { BitWidth: 8, GroupSize: not null } =>
                $"GroupSize is {config.GroupSize} with BitWidth 8, expected null: 8 bits have one scale a row",
            _ => null,
        };
        return problem is null
            ? GroupSizes.ReasonToSkip(config.GroupSize, weight)
            : throw new QuantizationException($"{problem}; correct the config, or choose UIntXWeightOnlyConfig.");
    }

    protected override long PredictBytes(in WeightFacts weight, GemliteUIntXWeightOnlyConfig config) => UIntXSizes.Bytes(
        weight, config.BitWidth, GroupSize(weight, config), config.BitWidth == 4 ? weight.ElementBytes : 0);

    protected override long GroupSize(in WeightFacts weight, GemliteUIntXWeightOnlyConfig config) =>
        GroupSizes.Resolve(config.GroupSize, weight.InFeatures);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, GemliteUIntXWeightOnlyConfig config) => new UIntXGrid(
        config.BitWidth,
        GroupSize(weight, config),
        config.BitWidth == 4
            ? UIntXGrid.Valued(4, FourBitEpsilon)
            : UIntXGrid.Signed(8, MappingType.Symmetric, hasZeros: false) with { Epsilon = EightBitEpsilon });

    protected override bool IsChosenByGrid(GemliteUIntXWeightOnlyConfig config) => config is not { BitWidth: 4, UseHqq: true };

    protected override (Tensor Codes, QParams QParams) Choose(
        Tensor weight, IQuantizationGrid grid, GemliteUIntXWeightOnlyConfig config) => config is { BitWidth: 4, UseHqq: true }
            ? HqqRows.Quantize(weight, 4, GroupSizes.Resolve(config.GroupSize, weight.size(1)))
            : base.Choose(weight, grid, config);
}
