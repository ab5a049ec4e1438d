using System.Text.RegularExpressions;
using TorchAO.Configuration;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Two linear layers with a ReLU between them, quantized as a model is: both, or the one that the filter names.</summary>
internal sealed partial class WeightOnlyModelHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Inputs.ContainsKey("2.weight") && (WeightOnly.HasConfig(recorded) || FilterOf(recorded) is not null);

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        string? filter = FilterOf(recorded);
        QuantizeConfig config = filter is null ? WeightOnly.Config(recorded) : new Int8WeightOnlyConfig();
        using Sequential model = nn.Sequential(("0", Layer(recorded, run, "0")), ("1", nn.ReLU()), ("2", Layer(recorded, run, "2")));
        Tensor x = run.Input("x");
        using IDisposable noGradient = no_grad();
        run.Expect("y_float", model.forward(x));

        QuantizeReport report = torchao.quantize_(model, config, filter is null ? null : (_, name) => name == filter);

        Assert.Equal(filter is null ? ["0", "2"] : [filter], report.Changed.Select(layer => layer.Name));
        run.Expect("y", model.forward(x));
    }

    private static Linear Layer(GoldenCase recorded, GoldenRun run, string name)
    {
        Tensor weight = run.Input($"{name}.weight");
        bool hasBias = recorded.Inputs.ContainsKey($"{name}.bias");
        Linear layer = nn.Linear(weight.size(1), weight.size(0), hasBias);
        layer.weight = new Parameter(weight);
        if (hasBias)
        {
            layer.bias = new Parameter(run.Input($"{name}.bias"));
        }

        return layer;
    }

    private static string? FilterOf(GoldenCase recorded) =>
        FilteredCall().Match(recorded.Call) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex(@"^quantize_\(model, Int8WeightOnlyConfig\(\), filter_fn=fqn=='([^']+)'\)$")]
    private static partial Regex FilteredCall();
}
