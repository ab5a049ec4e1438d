using TorchAO.Formats.Floatx;
using TorchAO.Formats.Nf4;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>Small floats under one scale a row, and quantiles in blocks.</summary>
internal sealed class FloatxSqnrConfigs : ISqnrConfigs
{
    public IReadOnlyDictionary<string, SqnrConfig> Rows { get; } = new Dictionary<string, SqnrConfig>
    {
        ["nf4"] = new(new NF4WeightOnlyConfig()),
        ["fpx_e3m2"] = new(new FPXWeightOnlyConfig(3, 2)),
        ["fpx_e2m3"] = new(new FPXWeightOnlyConfig(2, 3)),
        ["fpx_e2m2"] = new(new FPXWeightOnlyConfig(2, 2)),
        ["fpx_e3m1"] = new(new FPXWeightOnlyConfig(3, 1)),
        ["fpx_e2m1"] = new(new FPXWeightOnlyConfig(2, 1)),
        ["fpx_e4m2"] = new(new FPXWeightOnlyConfig(4, 2)),
    };
}
