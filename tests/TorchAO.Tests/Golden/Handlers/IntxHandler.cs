using System.Globalization;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.UIntX;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Signed weights of a few bits: the experimental config with int8 activations, and intN_weight_only.</summary>
internal sealed class IntxHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "I" && recorded.Outputs.ContainsKey("w_q")
        && (recorded.Call.Contains("int8_dynamic_activation_intx_weight", StringComparison.Ordinal)
            || recorded.Call.Contains("intN_weight_only", StringComparison.Ordinal));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        QuantizeConfig config = recorded.Has("n") ? WeightOnlyConfig(recorded) : DynamicConfig(recorded);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        QuantizedTensor quantized = handler.Quantize(run.Input("weight"), config);
        using LinearExecutor executor = BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(
            quantized, activation: handler.Activation(config));
        var weight = (UIntXTensor)quantized;

        // Stored codes count from zero; torchao's signed ones about it.
        int first = recorded.Int("quant_min") < 0 ? 1 << (weight.Bits - 1) : 0;
        Tensor zeros = weight.ZeroPoint is { } stored ? stored.to(ScalarType.Int32) - first : zeros_like(weight.Scale, ScalarType.Int32);
        run.Expect("w_q", Shaped("w_q", weight.UnpackCodes().to(ScalarType.Int32) - first));
        run.Expect("w_packed.int_data", Shaped("w_packed.int_data", weight.UnpackCodes().to(ScalarType.Int32) - first));
        run.Expect("w_scale", Shaped("w_scale", weight.Scale));
        run.Expect("w_zero_point", Shaped("w_zero_point", zeros));
        run.Expect("w_dequant", weight.Dequantize());

        using IDisposable noGradient = no_grad();
        run.Expect("y", executor.Forward(run.Input("x"), run.Input("bias")));

        Tensor? Shaped(string name, Tensor value) =>
            run.HasOutput(name) ? value.reshape(run.Recorded(name).shape).to(run.Recorded(name).dtype) : null;
    }

    // torchao's int6 has 4 bits, as the recorded range says.
    private static Int8DynamicActivationIntxWeightConfig DynamicConfig(GoldenCase recorded)
    {
        string granularity = recorded.Text("granularity");
        return new()
        {
            WeightDType = QuantizedType.Signed((int)Math.Log2(recorded.Int("quant_max") - recorded.Int("quant_min") + 1)),
            Granularity = granularity.StartsWith("PerRow", StringComparison.Ordinal)
                ? new PerRow()
                : new PerGroup(long.Parse(granularity.Split('=', ')')[1], CultureInfo.InvariantCulture)),
            WeightMappingType = recorded.Text("weight_mapping_type") == "ASYMMETRIC" ? MappingType.Asymmetric : MappingType.Symmetric,
            HasWeightZeros = recorded.Flag("has_weight_zeros", otherwise: false),
        };
    }

    private static QuantizeConfig WeightOnlyConfig(GoldenCase recorded) => recorded.Flag("symmetric", otherwise: true)
        ? new IntxWeightOnlyConfig
        {
            WeightDType = QuantizedType.Signed(recorded.Int("n")),
            Granularity = new PerGroup(recorded.Int("group_size")),
        }
        : new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(recorded.Int("n")), GroupSize = recorded.Int("group_size") };
}
