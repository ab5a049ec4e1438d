using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Int4;
using TorchAO.Modules;
using TorchAO.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>One linear layer, or two with a ReLU between them, under a config that rounds activations.</summary>
internal sealed class DynamicActivationLinearHandler : IGoldenHandler
{
    // Of one float8 product on tensor cores, and of two with bfloat16 and another rounding to float8 between them.
    private const double OneFastProduct = 65;
    private const double TwoFastProducts = 25;

    public bool Handles(GoldenCase recorded) =>
        DynamicActivation.HasConfig(recorded)
        && (recorded.Outputs.ContainsKey("w_q") || recorded.Inputs.ContainsKey("2.weight"));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        using IDisposable noGradient = no_grad();
        float? staticScale = recorded.Inputs.ContainsKey("act_scale") ? run.Input("act_scale").item<float>() : null;
        QuantizeConfig config = DynamicActivation.Config(recorded, staticScale);
        if (recorded.Inputs.ContainsKey("2.weight"))
        {
            RunModel(config, run, IsFastProduct(recorded));
            return;
        }

        using QuantizedLinear layer = Layer(
            config, run.Input("weight"), recorded.Inputs.ContainsKey("bias") ? run.Input("bias") : null);
        ExpectWeight(layer.Weight, run);
        if (staticScale is { } scale)
        {
            run.Expect("w_act_static_scale", tensor(scale).reshape(run.Recorded("w_act_static_scale").shape));
        }

        foreach (string output in recorded.Outputs.Keys.Where(name => name.StartsWith('y')))
        {
            Tensor y = layer.call(run.Input("x" + output[1..]));
            if (IsFastProduct(recorded) && y.dtype == ScalarType.Float32)
            {
                run.ExpectSignal(output, y, OneFastProduct);
            }
            else
            {
                run.Expect(output, y);
            }
        }
    }

    private static bool IsFastProduct(GoldenCase recorded) =>
        recorded.Device == "cuda" && recorded.Text("config").StartsWith("Float8", StringComparison.Ordinal);

    private static void RunModel(QuantizeConfig config, GoldenRun run, bool isFast)
    {
        (Tensor first, Tensor second, Tensor bias) = (run.Input("0.weight"), run.Input("2.weight"), run.Input("0.bias"));
        Tensor x = run.Input("x");
        run.Expect("y_float", nn.functional.linear(nn.functional.relu(nn.functional.linear(x, first, bias)), second));
        using QuantizedLinear up = Layer(config, first, bias);
        using QuantizedLinear down = Layer(config, second, null);
        Tensor y = down.call(nn.functional.relu(up.call(x)));
        if (isFast)
        {
            run.ExpectSignal("y", y, TwoFastProducts);
        }
        else
        {
            run.Expect("y", y);
        }
    }

    private static void ExpectWeight(QuantizedTensor weight, GoldenRun run)
    {
        run.Expect("w_dequant", weight.Dequantize());
        Tensor scale = weight.Components[1].Value;
        Tensor shaped = run.HasOutput("w_scale") ? scale.reshape(run.Recorded("w_scale").shape) : scale;
        run.Expect("w_scale", shaped);
        switch (weight)
        {
            case Int4Tensor int4:
                // torchao's codes are signed, ours are 8 higher; a symmetric tensor of ours has no zero point.
                Tensor codes = (int4.UnpackCodes().to(ScalarType.Int32) - 8).to(ScalarType.Int8);
                run.Expect("w_q", codes);
                run.Expect("w_zero_point", int4.ZeroPoint is { } zero
                    ? (zero.reshape(shaped.shape).to(ScalarType.Float32) - 8).to(shaped.dtype)
                    : zeros_like(shaped));
                run.Expect("w_packed.int_data", DynamicActivation.PackSigned(codes));
                break;
            default:
                run.Expect("w_q", weight.Components[0].Value);
                break;
        }
    }

    public static QuantizedLinear Layer(QuantizeConfig config, Tensor weight, Tensor? bias)
    {
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        QuantizedTensor quantized = handler.Quantize(weight, config);
        return new QuantizedLinear(
            BuiltInFormats.Catalog.Format(quantized.Format).CreateExecutor(quantized, activation: handler.Activation(config)),
            bias is null ? null : new Parameter(bias));
    }
}
