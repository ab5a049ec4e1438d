using System.Text.Json;
using TorchAO.Formats.Int8;
using TorchAO.Modules;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Cuts, copies, conversions and products of one quantized weight.</summary>
internal sealed class WeightOperationsHandler : IGoldenHandler
{
    // With groups torchao's mm fails and its transpose dequantizes to wrong values (5 dB): on record, not to be met.
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Family == "tensor_ops" && WeightOnly.HasConfig(recorded)
        && !recorded.Has("expect_error_of");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        var config = new Int8WeightOnlyConfig();
        Tensor values = run.Input("weight");
        using QuantizedTensor weight = WeightOnly.Quantize(config, values);
        using QuantizedTensor copy = weight.To(CPU);
        using QuantizedTensor converted = weight.To(CPU, ScalarType.BFloat16);
        run.Expect("clone_dequant", copy.Dequantize());
        run.Expect("to_bf16_dequant", converted.Dequantize());
        run.Expect("t_dequant", weight.Dequantize().t());
        run.Expect("embedding", weight.Dequantize()[run.Input("idx")]);
        run.Expect("slice0_dequant", Cut(recorded, weight, 0));
        run.Expect("slice1_dequant", Cut(recorded, weight, 1));

        using IDisposable noGradient = no_grad();
        using QuantizedLinear plain = WeightOnly.Layer(config, values, null);
        using QuantizedLinear biased = WeightOnly.Layer(config, values, ones(values.size(0)));
        run.Expect("mm", plain.call(run.Input("x")));
        run.Expect("addmm", biased.call(run.Input("x")));
    }

    private static Tensor Cut(GoldenCase recorded, QuantizedTensor weight, int dimension)
    {
        JsonElement range = recorded.Params.GetProperty($"slice{dimension}");
        (long start, long end) = (range[0].GetInt64(), range[1].GetInt64());
        using QuantizedTensor cut = weight.Narrow(dimension, start, end - start);
        return cut.Dequantize();
    }
}
