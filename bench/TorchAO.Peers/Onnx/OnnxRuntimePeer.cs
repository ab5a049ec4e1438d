using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Peers.Onnx;

/// <summary>ONNX Runtime's products with quantized weights, float32 in and out.</summary>
/// <remarks>
/// <c>MatMulNBits</c>: 4-bit codes counted from 8, one float scale for each block of a row; <c>accuracy_level</c> 0 leaves the
/// activations in float32, 4 lets the kernel round them to int8. <c>DynamicQuantizeMatMul</c>: activations to 8 bits with one
/// scale for the whole matrix, int8 weights with one scale for each output, the fused form of <c>DynamicQuantizeLinear</c>
/// and <c>MatMulInteger</c>.
/// </remarks>
internal sealed class OnnxRuntimePeer : IPeer
{
    /// <inheritdoc/>
    public string Name => $"ONNX Runtime {OrtEnv.Instance().GetVersionString()}";

    /// <inheritdoc/>
    public string? Absence => null;

    /// <inheritdoc/>
    public IEnumerable<Contestant> Enter(Tensor weight, int threads)
    {
        foreach (int block in (int[])[32, 128])
        {
            if (weight.size(1) % block == 0)
            {
                yield return FourBits(weight, block, level: 0, threads);
                yield return FourBits(weight, block, level: 4, threads);
            }
        }

        yield return EightBits(weight, threads);
    }

    private static OnnxContestant FourBits(Tensor weight, int block, int level, int threads)
    {
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (weight.size(0), weight.size(1));
        Tensor blocks = weight.view(n, k / block, block);

        // The value of largest magnitude gets the code 0, which stands for -8 steps.
        Tensor low = blocks.amin([2], keepdim: true), high = blocks.amax([2], keepdim: true);
        Tensor step = where(high > low.abs(), high, low).div(-8);
        Tensor safe = where(step.abs() < 1e-12, ones_like(step), step);
        Tensor codes = (blocks / safe).round_().add_(8).clamp_(0, 15).to(ScalarType.Byte);
        Tensor even = codes.slice(2, 0, block, 2), odd = codes.slice(2, 1, block, 2);
        Tensor packed = even.bitwise_or(odd.bitwise_left_shift(tensor((byte)4))).contiguous();
        Tensor scales = safe.view(n, k / block).contiguous();
        byte[] model = new OnnxModel("MatMulNBits", n, k)
            .Constant("codes", packed)
            .Constant("scales", scales)
            .Attribute("N", n).Attribute("K", k).Attribute("bits", 4)
            .Attribute("block_size", block).Attribute("accuracy_level", level)
            .ToBytes();
        return new OnnxContestant(
            $"ORT MatMulNBits g{block}, level {level}",
            level == 0 ? Arithmetic.FloatActivations : Arithmetic.Int8Activations,
            packed.numel() + (4 * scales.numel()),
            model,
            n,
            threads);
    }

    private static OnnxContestant EightBits(Tensor weight, int threads)
    {
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (weight.size(0), weight.size(1));
        Tensor step = weight.abs().amax([1], keepdim: true).div_(127).clamp_min_(1e-12);
        Tensor codes = weight.div(step).round_().to(ScalarType.Int8).t().contiguous();
        Tensor scales = step.view(n);
        byte[] model = new OnnxModel("DynamicQuantizeMatMul", n, k)
            .Constant("codes", codes)
            .Constant("scales", scales)
            .ToBytes();
        return new OnnxContestant(
            "ORT DynamicQuantizeMatMul", Arithmetic.Int8Activations, codes.numel() + (4 * n), model, n, threads);
    }
}
