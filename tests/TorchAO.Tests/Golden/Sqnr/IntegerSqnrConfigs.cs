using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.UIntX;
using TorchAO.Primitives;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>Weight-only integers of 1 to 8 bits.</summary>
internal sealed class IntegerSqnrConfigs : ISqnrConfigs
{
    public IReadOnlyDictionary<string, SqnrConfig> Rows { get; } = new Dictionary<string, SqnrConfig>
    {
        ["int8wo"] = new(new Int8WeightOnlyConfig()),
        ["int8wo_f32"] = new(new Int8WeightOnlyConfig()),
        ["int8wo_g32"] = new(new Int8WeightOnlyConfig { GroupSize = 32 }),
        ["int4wo_g32"] = Int4(32),
        ["int4wo_g64"] = Int4(64),
        ["int4wo_g128"] = Int4(128),
        ["int4wo_g256"] = Int4(256),
        ["int4wo_g32_cpu_layout_f32"] = Int4(32),
        ["int4wo_g64_cpu_layout_f32"] = Int4(64),
        ["int4wo_g128_cpu_layout_f32"] = Int4(128),
        ["int4wo_g256_cpu_layout_f32"] = Int4(256),
        ["int4wo_g64_hqq"] = new(new Int4WeightOnlyConfig { GroupSize = 64, UseHqq = true }),
        ["int4wo_g64_hqq_cpu_layout_f32"] = new(new Int4WeightOnlyConfig { GroupSize = 64, UseHqq = true }, IsDefect: true),
        ["uintx_1_g64"] = UIntX(1, 64),
        ["uintx_2_g64"] = UIntX(2, 64),
        ["uintx_3_g64"] = UIntX(3, 64),
        ["uintx_4_g64"] = UIntX(4, 64),
        ["uintx_5_g64"] = UIntX(5, 64),
        ["uintx_6_g64"] = UIntX(6, 64),
        ["uintx_7_g64"] = UIntX(7, 64),
        ["uintx_2_g8_hqq"] = UIntX(2, 8, useHqq: true),
        ["uintx_2_g64_hqq"] = UIntX(2, 64, useHqq: true),
        ["uintx_3_g64_hqq"] = UIntX(3, 64, useHqq: true),
        ["uintx_4_g64_hqq"] = UIntX(4, 64, useHqq: true),
        ["uintx_8_g64_hqq"] = UIntX(8, 64, useHqq: true),
    };

    private static SqnrConfig Int4(long groupSize) => new(new Int4WeightOnlyConfig { GroupSize = groupSize });

    private static SqnrConfig UIntX(int bits, long groupSize, bool useHqq = false) => new(
        new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(bits), GroupSize = groupSize, UseHqq = useHqq },
        bits <= 2 ? 0.6 : 0.3);
}
