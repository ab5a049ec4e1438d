using System.Text.Json;
using TorchAO.Formats;
using TorchAO.Formats.Floatx;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>One linear layer in small floats: codes, tensor-core packing, scales, dequantized weight and outputs; refusals.</summary>
internal sealed class FPXLinearHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Has("config") && recorded.Text("config") == "FPXWeightOnlyConfig";

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        JsonElement arguments = recorded.Params.GetProperty("config_args");
        var config = new FPXWeightOnlyConfig(arguments.GetProperty("ebits").GetInt32(), arguments.GetProperty("mbits").GetInt32());
        if (recorded.Outputs.Count == 0)
        {
            Refuse(recorded, run, config);
            return;
        }

        using QuantizedLinear layer = WeightOnly.Layer(config, run.Input("weight"), run.Input("bias"));
        var weight = (FloatxTensor)layer.Weight;
        Tensor packed = FloatxTensorCorePacking.Pack(weight.UnpackCodes(), weight.Type.Bits);
        run.Expect("w_packed.packed_floatx_data", packed);
        run.Expect("w_q", run.HasOutput("w_q") ? AsRecorded(run.Recorded("w_q"), weight, packed) : null);
        run.Expect("w_scale", weight.Scale.reshape(run.Recorded("w_scale").shape));
        run.Expect("w_dequant", weight.Dequantize());

        if (run.HasOutput("y5"))
        {
            using IDisposable noGradient = no_grad();
            run.Expect("y5", layer.call(run.Input("x5")));
        }
    }

    // torchao's get_plain gives codes one a byte, or packed, by the layout.
    private static Tensor AsRecorded(Tensor recorded, FloatxTensor weight, Tensor packed) =>
        recorded.shape.SequenceEqual(packed.shape) ? packed : weight.UnpackCodes();

    private static void Refuse(GoldenCase recorded, GoldenRun run, FPXWeightOnlyConfig config)
    {
        long[] shape = recorded.Longs("shape");
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        var facts = new WeightFacts(shape[0], shape[1], ScalarType.Float32, DeviceType.CPU);
        if (recorded.ExpectedError is not null)
        {
            run.Refuses(() => handler.ReasonToSkip(facts, config));
            return;
        }

        // Left alone by torchao because its kernel's tiles do not fit; ours takes any shape.
        Xunit.Assert.Null(handler.ReasonToSkip(facts, config));
    }
}
