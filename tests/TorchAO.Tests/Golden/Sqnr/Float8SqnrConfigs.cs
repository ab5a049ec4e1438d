using TorchAO.Formats.Float8;
using TorchAO.Runtime.Libtorch;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>Weight-only float8.</summary>
internal sealed class Float8SqnrConfigs : ISqnrConfigs
{
    public IReadOnlyDictionary<string, SqnrConfig> Rows { get; } = new Dictionary<string, SqnrConfig>
    {
        ["fp8wo_e4m3"] = new(new Float8WeightOnlyConfig()),
        ["fp8wo_e5m2"] = new(new Float8WeightOnlyConfig { WeightDType = ScalarTypes.Float8E5M2 }),
    };
}
