using TorchAO.Formats.BitNet;
using TorchAO.Modules;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Ternary weights: scale, codes, bytes, values and a product.</summary>
internal sealed class BitNetHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "I" && (recorded.Calls("get_bitnet_scale") || IsLayer(recorded));

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        var config = new Int8DynamicActivationBitNetWeightConfig();
        using QuantizedLinear layer = DynamicActivationLinearHandler.Layer(config, run.Input("w"), null);
        var weight = (BitNetTensor)layer.Weight;
        Tensor codes = weight.UnpackCodes(0, weight.Shape[0]);
        run.Expect("scale", weight.Scale.squeeze());
        run.Expect("w_int8", codes);
        run.Expect("unpacked", codes);
        run.Expect("packed_i2", AsSigned(weight.QData));
        run.Expect("int_data", AsSigned(weight.QData));
        run.Expect("dequant", weight.Dequantize());
        if (IsLayer(recorded))
        {
            run.Expect("y", layer.call(run.Input("x")));
        }
    }

    private static bool IsLayer(GoldenCase recorded) =>
        recorded.Calls("F.linear") && recorded.Call.Contains("BitNetPacked2bitLinearWeight", StringComparison.Ordinal);

    // torchao keeps the bytes as int8.
    private static Tensor AsSigned(Tensor packed)
    {
        Tensor signed = empty(packed.shape, dtype: ScalarType.Int8);
        packed.bytes.CopyTo(signed.bytes);
        return signed;
    }
}
