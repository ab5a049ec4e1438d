using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Lifecycle;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Combinations of options that torchao refuses: what no option of ours can say, and what ours computes.</summary>
internal sealed class OptionRefusalHandler : IGoldenHandler
{
    private const string MixedGranularity = "granularity=(PerTensor(), PerRow())";
    private const string StaticRow = "Float8StaticActivationFloat8WeightConfig(granularity=PerRow())";
    private const string RowOfFloat32 = "Float8DynamicActivationFloat8WeightConfig(PerRow) on a float32 weight";

    public bool Handles(GoldenCase recorded) => recorded.Area == "B" && recorded.ExpectedError is not null
        && (recorded.Call is MixedGranularity or StaticRow or RowOfFloat32 || IsInt4OfAnotherLayout(recorded));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        switch (recorded.Call)
        {
            case MixedGranularity:
                run.Refuses(() => Parse("float8_dynamic_activation_float8_weight(granularity=per_tensor per_row)"));
                break;
            case StaticRow:
                run.Refuses(() => Parse("float8_static_activation_float8_weight(granularity=per_row)"));
                break;
            case RowOfFloat32:
                run.Accepts(() => Quantize(new Float8DynamicActivationFloat8WeightConfig { Granularity = Float8Granularity.PerRow }, [64, 128]));
                break;
            default:
                long group = recorded.Params.GetProperty("config_args").GetProperty("group_size").GetInt64();
                run.Accepts(() => Quantize(new Int4WeightOnlyConfig { GroupSize = group }, recorded.Longs("shape")));
                break;
        }
    }

    // Layouts are the kernels' business here.
    private static bool IsInt4OfAnotherLayout(GoldenCase recorded) =>
        recorded.Has("config") && recorded.Text("config") == "Int4WeightOnlyConfig"
        && recorded.Params.GetProperty("config_args").GetProperty("layout").GetString()!.StartsWith("PlainLayout", StringComparison.Ordinal);

    private static void Parse(string text) => _ = ConfigText.Parse(BuiltInFormats.Catalog, text);

    private static void Quantize(QuantizeConfig config, long[] shape)
    {
        using Tensor weight = ones(shape);
        WeightOnly.Quantize(config, weight).Dispose();
    }
}
