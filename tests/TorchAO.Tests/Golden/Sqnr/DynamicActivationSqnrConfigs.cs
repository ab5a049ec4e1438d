using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>Configs that round activations, but for the static one, whose scale comes from calibration.</summary>
internal sealed class DynamicActivationSqnrConfigs : ISqnrConfigs
{
    public IReadOnlyDictionary<string, SqnrConfig> Rows { get; } = new Dictionary<string, SqnrConfig>
    {
        ["int8dq"] = new(new Int8DynamicActivationInt8WeightConfig()),
        ["int8dq_f32"] = new(new Int8DynamicActivationInt8WeightConfig()),
        ["int8dq_asym_act"] = new(new Int8DynamicActivationInt8WeightConfig { ActMappingType = MappingType.Asymmetric }),
        ["fp8dq_tensor"] = new(new Float8DynamicActivationFloat8WeightConfig()),
        ["fp8dq_row"] = new(new Float8DynamicActivationFloat8WeightConfig { Granularity = Float8Granularity.PerRow }),
        ["fp8dq_tensor_e5m2_weight_f32"] = new(new Float8DynamicActivationFloat8WeightConfig { WeightDType = ScalarTypes.Float8E5M2 }),
        ["int8da4w_g32"] = new(new Int8DynamicActivationInt4WeightConfig()),
        ["int8da4w_g128"] = new(new Int8DynamicActivationInt4WeightConfig { GroupSize = 128 }),
        ["int8da4w_g-1"] = new(new Int8DynamicActivationInt4WeightConfig { GroupSize = -1 }),
        ["int8da4w_g32_symact"] = new(new Int8DynamicActivationInt4WeightConfig { ActMappingType = MappingType.Symmetric }),
        ["int8da4w_g32_bf16"] = new(new Int8DynamicActivationInt4WeightConfig()),
        ["int4dq_int4w_f32"] = new(new Int4DynamicActivationInt4WeightConfig()),
    };
}
