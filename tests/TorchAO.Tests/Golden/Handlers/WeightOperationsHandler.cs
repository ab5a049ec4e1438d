using System.Text.Json;
using TorchAO.Formats.Int8;
using TorchAO.Modules;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Cuts, copies, conversions and products of one quantized weight.</summary>
internal sealed class WeightOperationsHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Calls("AffineQuantizedTensor") && WeightOnly.HasConfig(recorded);

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        Tensor values = run.Input("weight");

        // The blocks of the transposed weight are the only place where the case says its group size.
        long group = recorded.Longs("t_block")[0];
        var config = new Int8WeightOnlyConfig { GroupSize = group == values.size(1) ? null : group };
        using QuantizedTensor weight = WeightOnly.Quantize(config, values);
        using QuantizedTensor copy = weight.To(CPU);
        using QuantizedTensor converted = weight.To(CPU, ScalarType.BFloat16);
        run.Expect("clone_dequant", copy.Dequantize());
        run.Expect("to_bf16_dequant", converted.Dequantize());
        run.Expect("embedding", weight.Dequantize()[run.Input("idx")]);
        run.Expect("slice0_dequant", Cut(recorded, weight, 0));
        run.Expect("slice1_dequant", Cut(recorded, weight, 1));

        using IDisposable noGradient = no_grad();
        using QuantizedLinear plain = WeightOnly.Layer(config, values, null);
        using QuantizedLinear biased = WeightOnly.Layer(config, values, ones(values.size(0)));
        if (recorded.ExpectedError is null)
        {
            run.Expect("t_dequant", weight.Dequantize().t());
            run.Expect("mm", plain.call(run.Input("x")));
            run.Expect("addmm", biased.call(run.Input("x")));
            return;
        }

        // With groups torchao's transpose dequantizes to wrong values (5 dB), and its mm fails on that account.
        run.Differs("t_dequant", weight.Dequantize().t());
        run.Accepts(() => plain.call(run.Input("x")));
    }

    private static Tensor? Cut(GoldenCase recorded, QuantizedTensor weight, int dimension)
    {
        if (!recorded.Has($"slice{dimension}"))
        {
            return null;
        }

        JsonElement range = recorded.Params.GetProperty($"slice{dimension}");
        (long start, long end) = (range[0].GetInt64(), range[1].GetInt64());
        using QuantizedTensor cut = weight.Narrow(dimension, start, end - start);
        return cut.Dequantize();
    }
}
