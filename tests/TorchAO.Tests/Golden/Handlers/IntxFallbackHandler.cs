using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.UIntX;
using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>The modules that stand in for torchao's experimental kernels where those are not built: linear layers and embeddings.</summary>
internal sealed class IntxFallbackHandler : IGoldenHandler
{
    private const string Linear = "experimental._Int8DynActIntxWeightQuantizedLinearFallback";
    private const string Embedding = "experimental._IntxWeightQuantizedEmbeddingFallback";

    public bool Handles(GoldenCase recorded) => recorded.Area == "I" && (recorded.Calls(Linear) || recorded.Calls(Embedding));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        using IDisposable noGradient = no_grad();
        QuantizeConfig config = Config(recorded);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        QuantizedTensor quantized = handler.Quantize(run.Input("w"), config);
        using LinearExecutor executor = BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(
            quantized, activation: handler.Activation(config));
        var weight = (UIntXTensor)quantized;

        // Stored codes count from zero; torchao's signed ones about it.
        int first = 1 << (weight.Bits - 1);
        Tensor codes = weight.UnpackCodes().to(ScalarType.Int32) - first;
        run.Expect("q", codes);
        run.Expect("scale", weight.Scale);
        if (run.HasOutput("zero"))
        {
            run.Expect("zero", (weight.ZeroPoint!.to(ScalarType.Int32) - first).to(run.Recorded("zero").dtype));
        }

        if (recorded.Calls(Embedding))
        {
            using var embedding = new QuantizedEmbedding(executor);
            run.Expect("y", embedding.call(run.Input("idx")));
        }
        else
        {
            run.Expect("y", executor.Forward(run.Input("x"), null));
        }
    }

    private static QuantizeConfig Config(GoldenCase recorded)
    {
        var (type, groups) = (QuantizedType.Signed(recorded.Int("nbit")), new PerGroup(recorded.Int("group_size")));
        bool hasZeros = recorded.Flag("has_weight_zeros", otherwise: false);
        return recorded.Calls(Linear)
            ? new Int8DynamicActivationIntxWeightConfig
            {
                WeightDType = type,
                Granularity = groups,
                WeightMappingType = MappingType.Asymmetric,
                HasWeightZeros = hasZeros,
            }
            : new IntxWeightOnlyConfig
            {
                WeightDType = type,
                Granularity = groups,
                MappingType = MappingType.Asymmetric,
                HasWeightZeros = true,
            };
    }
}
