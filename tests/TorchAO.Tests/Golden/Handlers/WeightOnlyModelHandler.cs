using TorchAO.Configuration;
using TorchAO.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Two linear layers with a ReLU between them, both under a weight-only config.</summary>
internal sealed class WeightOnlyModelHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => WeightOnly.HasConfig(recorded) && recorded.Inputs.ContainsKey("2.weight");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        QuantizeConfig config = WeightOnly.Config(recorded);
        (Tensor first, Tensor second, Tensor bias) = (run.Input("0.weight"), run.Input("2.weight"), run.Input("0.bias"));
        Tensor x = run.Input("x");
        using IDisposable noGradient = no_grad();
        run.Expect("y_float", nn.functional.linear(nn.functional.relu(nn.functional.linear(x, first, bias)), second));

        using QuantizedLinear up = WeightOnly.Layer(config, first, bias);
        using QuantizedLinear down = WeightOnly.Layer(config, second, null);

        run.Expect("y", down.call(nn.functional.relu(up.call(x))));
    }
}
