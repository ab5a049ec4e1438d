using TorchAO.Formats.Float8;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>Float8 activations whose scale comes from a calibration on the input that is measured.</summary>
internal sealed class StaticActivationSqnrConfigs : ISqnrConfigs
{
    public IReadOnlyDictionary<string, SqnrConfig> Rows { get; } = new Dictionary<string, SqnrConfig>
    {
        ["fp8static_tensor"] = new(new Float8StaticActivationFloat8WeightConfig()),
    };
}
