using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Shapes that a weight-only config does not fit: torchao leaves the module alone or fails, we give a reason.</summary>
internal sealed class WeightOnlyRefusalHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        WeightOnly.HasConfig(recorded) && recorded.Outputs.Count == 0;

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        QuantizeConfig config = WeightOnly.Config(recorded);
        long[] shape = recorded.Longs("shape");
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);

        // A config that is wrong for every weight is an exception, one that is wrong for this weight a reason.
        string? reason = null;
        Exception? thrown = Record.Exception(() => reason = handler.ReasonToSkip(
            new WeightFacts(shape[0], shape[1], ScalarType.Float32, DeviceType.CPU), config));
        Assert.True(thrown is QuantizationException || (thrown is null && reason is not null), $"{config}: {thrown}");
        run.Refuses(() => handler.Quantize(ones(shape), config).Dispose());
    }
}
