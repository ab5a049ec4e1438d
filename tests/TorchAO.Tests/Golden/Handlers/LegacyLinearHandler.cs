using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>torchao's linear modules from before its configs: each is one of the configs.</summary>
internal sealed class LegacyLinearHandler : IGoldenHandler
{
    private const string Modules = "WeightOnlyInt8QuantLinear, DynamicallyPerAxisQuantizedLinear";

    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "I" && (recorded.Call == Modules || recorded.Calls("Int8DynActInt4WeightQuantizer"));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        using IDisposable noGradient = no_grad();
        if (recorded.Call == Modules)
        {
            run.Expect("y_weight_only", Product(new Int8WeightOnlyConfig(), run));
            run.Expect("y_dynamic", Product(new Int8DynamicActivationInt8WeightConfig(), run));
            return;
        }

        var config = new Int8DynamicActivationInt4WeightConfig { GroupSize = recorded.Int("groupsize") };
        using QuantizedLinear layer = DynamicActivationLinearHandler.Layer(config, run.Input("weight"), null);
        var weight = (Int4Tensor)layer.Weight;
        run.Expect("q", (weight.UnpackCodes().to(ScalarType.Int32) - 8).to(ScalarType.Int8));
        run.Expect("scales", weight.Scale);

        // torchao stores zero points of zeros; a symmetric tensor of ours has none.
        run.Expect("zeros", zeros_like(weight.Scale));
        run.Expect("y", layer.call(run.Input("x")));
    }

    private static Tensor Product(QuantizeConfig config, GoldenRun run)
    {
        using QuantizedLinear layer = DynamicActivationLinearHandler.Layer(config, run.Input("weight"), run.Input("bias"));
        return layer.call(run.Input("x"));
    }
}
