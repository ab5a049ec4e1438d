using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Shapes and options that a config with rounded activations does not fit: torchao leaves the module alone or fails.</summary>
internal sealed class DynamicActivationRefusalHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => DynamicActivation.HasConfig(recorded) && recorded.Outputs.Count == 0;

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        QuantizeConfig config = DynamicActivation.Config(recorded);
        long[] shape = recorded.Longs("shape");
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        var facts = new WeightFacts(
            shape[0], shape[1], ScalarType.Float32, recorded.Device == "cuda" ? DeviceType.CUDA : DeviceType.CPU);
        if (recorded.ExpectedError is null)
        {
            Assert.NotNull(handler.ReasonToSkip(facts, config));
        }
        else if (DynamicActivation.AsksForLayoutAlone(recorded))
        {
            run.Accepts(() => Assert.Null(handler.ReasonToSkip(facts, config)));
        }
        else
        {
            run.Refuses(() => handler.ReasonToSkip(facts, config));
        }
    }
}
