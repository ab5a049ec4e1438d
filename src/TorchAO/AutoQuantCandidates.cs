using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Half;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.Nf4;
using TorchAO.Formats.UIntX;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO;

/// <summary>Lists of configs for <c>AutoQuantOptions.Candidates</c>. The layer as it is takes part in each.</summary>
/// <remarks>The counterparts of torchao's class lists, in a fixed order: of equals the earlier wins.</remarks>
public static class AutoQuantCandidates
{
    /// <summary>Gets int8 weights, with activations in floating point or rounded a token at a time: an output that is hard to
    /// tell from the original. torchao's <c>DEFAULT_AUTOQUANT_CLASS_LIST</c>.</summary>
    public static IReadOnlyList<QuantizeConfig> Default { get; } = [new Int8WeightOnlyConfig(), new Int8DynamicActivationInt8WeightConfig()];

    /// <summary>Gets int8, and int4 in groups of 64 fitted by HQQ. torchao's <c>DEFAULT_INT4_AUTOQUANT_CLASS_LIST</c>.</summary>
    public static IReadOnlyList<QuantizeConfig> Int4 { get; } =
        [new Int8DynamicActivationInt8WeightConfig(), new Int4WeightOnlyConfig { GroupSize = 64, UseHqq = true }];

    /// <summary>Gets int8, and 4 bits in gemlite's arithmetic. torchao's <c>GEMLITE_INT4_AUTOQUANT_CLASS_LIST</c>.</summary>
    public static IReadOnlyList<QuantizeConfig> GemliteInt4 { get; } =
        [new Int8DynamicActivationInt8WeightConfig(), new GemliteUIntXWeightOnlyConfig { GroupSize = 64, BitWidth = 4 }];

    /// <summary>Gets float8, with activations as they are, rounded a token or a tensor at a time. torchao's
    /// <c>OTHER_AUTOQUANT_CLASS_LIST</c>.</summary>
    public static IReadOnlyList<QuantizeConfig> Float8 { get; } =
    [
        new Float8WeightOnlyConfig(),
        new Float8DynamicActivationFloat8WeightConfig { Granularity = Float8Granularity.PerRow },
        new Float8DynamicActivationFloat8WeightConfig { Granularity = Float8Granularity.PerTensor },
    ];

    /// <summary>Gets 16-bit floating point: a float32 model that nobody can tell from the original. torchao's
    /// <c>DEFAULT_FLOAT_AUTOQUANT_CLASS_LIST</c>, with activations in their own type.</summary>
    public static IReadOnlyList<QuantizeConfig> Float { get; } =
        [new HalfWeightOnlyConfig { DType = ScalarType.BFloat16 }, new HalfWeightOnlyConfig { DType = ScalarType.Float16 }];

    /// <summary>Gets weight-only formats from 8 bits to 4, for models whose size counts as much as their speed.</summary>
    public static IReadOnlyList<QuantizeConfig> WeightOnly { get; } =
    [
        new Int8WeightOnlyConfig(),
        new Float8WeightOnlyConfig(),
        new FPXWeightOnlyConfig { ExponentBits = 3, MantissaBits = 2 },
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(6), GroupSize = 64 },
        new Int4WeightOnlyConfig { GroupSize = 32 },
        new Int4WeightOnlyConfig { GroupSize = 64, UseHqq = true },
        new NF4WeightOnlyConfig(),
    ];

    /// <summary>Gets every config of the other lists, once.</summary>
    public static IReadOnlyList<QuantizeConfig> All { get; } =
        [.. Default.Concat(Int4).Concat(Float).Concat(GemliteInt4).Concat(Float8).Concat(WeightOnly).Distinct()];
}
