using TorchAO.Numerics;
using TorchAO.Primitives.Kernels;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Quantizes blocks to sixteen quantiles of a normal distribution, with scales that are quantized themselves:
/// <c>x ≈ table[q] · (s / f + m)</c>.</summary>
/// <remarks>
/// Dettmers et al. 2023, QLoRA (arXiv:2305.14314). torchao's <c>to_nf4</c>: all arithmetic is in the type of the weight. Two
/// differences, which change nothing for weights that both take: a block of zeros gets the code of zero (torchao divides by its
/// maximum, zero, and stores −1 times the error of its scale), and the last block of scales may be short.
/// </remarks>
public static class Nf4Quantization
{
    /// <summary>The count of values that share a scale, in the paper and by default.</summary>
    public const long UsualBlockSize = 64;

    /// <summary>The count of scales that share a factor, in the paper and by default.</summary>
    public const long UsualScalerBlockSize = 256;

    /// <summary>Finds the largest magnitude of each block.</summary>
    /// <param name="input">Values <c>[N, K]</c>; K a multiple of the block size.</param>
    /// <param name="blockSize">Values that share a scale.</param>
    /// <returns>Magnitudes <c>[N, K / block]</c> in the type of the input. The caller disposes them.</returns>
    public static Tensor ChooseScale(Tensor input, long blockSize)
    {
        ArgumentNullException.ThrowIfNull(input);
        using IDisposable noGrad = no_grad();
        if (BlockExtremes.Covers(input))
        {
            using Tensor largest = BlockExtremes.Magnitudes(input, input.numel() / blockSize);
            return largest.reshape(input.size(0), -1);
        }

        using Tensor blocks = input.reshape(input.size(0), -1, blockSize);
        using Tensor magnitudes = blocks.abs();
        return magnitudes.amax([2]);
    }

    /// <summary>Rounds <c>x / s</c> to the nearest value of the table, the lower code at a tie.</summary>
    /// <param name="input">Values <c>[N, K]</c>.</param>
    /// <param name="scale">Largest magnitudes <c>[N, K / block]</c>.</param>
    /// <returns>Codes <c>[N, K]</c>, uint8. The caller disposes them.</returns>
    public static Tensor Quantize(Tensor input, Tensor scale)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(scale);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (BlockExtremes.Covers(input))
        {
            using Tensor table = Table(input.dtype), values = table.to_type(ScalarType.Float32);
            Tensor codes = NearestCodes.Find(input, scale.to_type(input.dtype), TensorMemory.ReadOnlySpan<float>(values));
            return codes.MoveToOuterDisposeScope();
        }

        return ByTensors(input, scale).MoveToOuterDisposeScope();
    }

    /// <summary>The reference of <see cref="Quantize"/>: the same by tensor arithmetic, on any device; makes its temporaries in the
    /// current scope.</summary>
    internal static Tensor ByTensors(Tensor input, Tensor scale)
    {
        Tensor blocks = input.reshape(input.size(0), scale.size(1), -1);
        Tensor magnitudes = scale.to_type(input.dtype).unsqueeze(2);
        Tensor scaled = (blocks / magnitudes).masked_fill(magnitudes == 0, 0);
        return Nearest(scaled).reshape(input.shape);
    }

    /// <summary>Finds the codes of the nearest values of the table; distances are computed in the type of the values.</summary>
    /// <param name="values">Values of any shape; beyond ±1 the outermost code is the nearest.</param>
    /// <returns>Codes, uint8. The caller disposes them.</returns>
    public static Tensor Nearest(Tensor values)
    {
        ArgumentNullException.ThrowIfNull(values);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = zeros_like(values, dtype: ScalarType.Byte);
        Tensor least = full_like(values, double.PositiveInfinity);
        Tensor table = Table(values.dtype, values.device);
        for (int code = 0; code < NormalFloat4.Values.Length; code++)
        {
            using DisposeScope step = NewDisposeScope();
            Tensor distance = (values - table[code]).abs_();
            codes.masked_fill_(distance < least, code);
            least.copy_(least.minimum(distance));
        }

        return codes.MoveToOuterDisposeScope();
    }

    /// <summary>Quantizes scales to 8 bits: <c>q = round((s − m) · f)</c>, <c>f = 256 / (2 max |s − m|)</c> over each block of scales.</summary>
    /// <param name="scale">Scales of any shape, taken in order.</param>
    /// <param name="scalerBlockSize">Scales that share a factor; the last block may be short.</param>
    /// <returns>Codes in the shape of the scales, int8; factors, one a block; and the mean, a scalar. The caller disposes them.</returns>
    public static (Tensor Codes, Tensor Factor, Tensor Mean) QuantizeScale(Tensor scale, long scalerBlockSize)
    {
        ArgumentNullException.ThrowIfNull(scale);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor mean = scale.mean();
        Tensor flat = (scale - mean).flatten();
        long count = flat.numel();
        long blocks = (count + scalerBlockSize - 1) / scalerBlockSize;
        Tensor padded = nn.functional.pad(flat, [0, (blocks * scalerBlockSize) - count]).reshape(blocks, scalerBlockSize);
        Tensor largest = padded.abs().amax([1]);
        Tensor factor = (256 / (2 * largest)).masked_fill(largest == 0, 1).to_type(scale.dtype);
        Tensor codes = (padded * factor.unsqueeze(1)).round().clamp(-128, 127).to_type(ScalarType.Int8);
        return (
            codes.flatten().narrow(0, 0, count).reshape(scale.shape).MoveToOuterDisposeScope(),
            factor.MoveToOuterDisposeScope(),
            mean.MoveToOuterDisposeScope());
    }

    /// <summary>Computes <c>q / f + m</c> in the type of the mean.</summary>
    /// <param name="codes">Codes, int8.</param>
    /// <param name="factor">Factors that broadcast against the codes.</param>
    /// <param name="mean">The mean.</param>
    /// <returns>Scales in the shape of the codes. The caller disposes them.</returns>
    public static Tensor DequantizeScale(Tensor codes, Tensor factor, Tensor mean)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(factor);
        ArgumentNullException.ThrowIfNull(mean);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return ((codes / factor).to_type(mean.dtype) + mean).MoveToOuterDisposeScope();
    }

    /// <summary>Computes <c>table[q] · s</c> in float32 and casts it.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>, uint8, 0 to 15.</param>
    /// <param name="scale">Scales <c>[N, K / block]</c>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor Dequantize(Tensor codes, Tensor scale, ScalarType dtype = ScalarType.Float32)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(scale);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor table = Table(scale.dtype, codes.device).to_type(ScalarType.Float32);
        Tensor values = table.index_select(0, codes.flatten().to_type(ScalarType.Int32)).reshape(codes.size(0), scale.size(1), -1);
        Tensor scaled = values * scale.to_type(ScalarType.Float32).unsqueeze(2);
        return scaled.reshape(codes.shape).to_type(dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Gets the sixteen values, rounded to a type.</summary>
    /// <returns>Values <c>[16]</c>. The caller disposes them.</returns>
    public static Tensor Table(ScalarType dtype, Device? device = null)
    {
        using Tensor table = tensor(NormalFloat4.Values.ToArray(), device: device ?? CPU);
        return table.to_type(dtype, copy: true);
    }
}
