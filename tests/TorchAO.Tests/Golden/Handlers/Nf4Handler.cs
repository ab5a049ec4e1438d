using TorchAO.Formats.Nf4;
using TorchAO.Modules;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>Area E: NF4 tensors, their linear layers with gradients, and what torchao refuses.</summary>
internal sealed class Nf4Handler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) => recorded.Area == "E";

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        if (!recorded.Has("block_size"))
        {
            RunWithoutBlocks(recorded, run);
            return;
        }

        var config = new NF4WeightOnlyConfig { BlockSize = recorded.Int("block_size"), ScalerBlockSize = recorded.Int("scaler_block_size") };
        using QuantizedLinear layer = WeightOnly.Layer(
            config, run.Input(recorded.Inputs.ContainsKey("w") ? "w" : "weight"),
            recorded.Inputs.ContainsKey("bias") ? run.Input("bias") : null);
        if (recorded.Inputs.ContainsKey("x"))
        {
            RunLayer(recorded, run, layer);
            return;
        }

        RunTensor(run, (Nf4Tensor)layer.Weight);
    }

    private static void RunTensor(GoldenRun run, Nf4Tensor weight)
    {
        Tensor codes = BitStreamRows.Unpack(weight.QData, Nf4Tensor.Bits, weight.Shape[1]);
        Tensor values = weight.Dequantize();
        Tensor zeroBlocks = ZeroBlocks(codes, weight.Scale);
        if (zeroBlocks.any().item<bool>())
        {
            // A defect of torchao's: blocks of zeros come back as small numbers. There ours are zeros; elsewhere all is equal.
            run.Differs("quantized_data", weight.QData.flatten());
            codes = codes.masked_fill(zeroBlocks, 0);
            values = where(zeroBlocks, run.Recorded("dequant"), values);
        }

        run.Expect("quantized_data", BitStreamRows.Pack(codes, Nf4Tensor.Bits).flatten());
        run.Expect("quantized_scalers", weight.Scale.flatten());
        run.Expect("quantization_factor", weight.Factor.flatten().narrow(0, 0, 1));
        run.Expect("scaler_mean", weight.Mean.reshape([]));
        run.Expect("nf4_lut", Nf4Quantization.Table(weight.DType));
        run.Expect("dequant", values);
    }

    // Blocks in which every code is that of zero.
    private static Tensor ZeroBlocks(Tensor codes, Tensor scale)
    {
        Tensor blocks = codes.reshape(codes.size(0), scale.size(1), -1);
        return (blocks == 7).all(2, keepdim: true).expand_as(blocks).reshape(codes.shape);
    }

    private static void RunLayer(GoldenCase recorded, GoldenRun run, QuantizedLinear layer)
    {
        Tensor x = run.Input("x").clone();
        if (!recorded.Inputs.ContainsKey("grad_y"))
        {
            using IDisposable noGradient = no_grad();
            run.Expect("y", layer.call(x));
            return;
        }

        x.requires_grad = true;
        Tensor y = layer.call(x);
        run.Expect("y", y.detach());
        y.backward([run.Input("grad_y")]);
        run.Expect("dx", x.grad);
    }

    private static void RunWithoutBlocks(GoldenCase recorded, GoldenRun run)
    {
        if (recorded.ExpectedError is null)
        {
            run.Expect("code", Nf4Quantization.Nearest(run.Input("x")));
            return;
        }

        // torchao wants whole blocks of scales; here the last may be short.
        run.Accepts(() => WeightOnly.Quantize(new NF4WeightOnlyConfig(), ones(recorded.Longs("shape"))).Dispose());
    }
}
