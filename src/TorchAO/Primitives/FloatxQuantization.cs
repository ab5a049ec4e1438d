using TorchAO.Primitives.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Quantizes rows to floats of 3 to 8 bits: <c>x[n, k] ≈ decode(q[n, k]) · s[n]</c>.</summary>
/// <remarks>Codes are unpacked bytes, the value in the low bits. Xia et al. 2024 (arXiv:2401.14112). torchao's
/// <c>choose_qparams_affine_floatx</c> and its companions.</remarks>
public static class FloatxQuantization
{
    /// <summary>What the largest magnitude of a row is at least taken for.</summary>
    internal const double SmallestMagnitude = 1e-12;

    /// <summary>Chooses for each row the scale <c>max(amax, 10⁻¹²) / largest</c>, computed in float32.</summary>
    /// <param name="input">Values <c>[N, K]</c>, K at least 1.</param>
    /// <param name="type">The type of the codes.</param>
    /// <returns>Scales <c>[N]</c> in the type of the input. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The input is no matrix, or its rows are empty.</exception>
    public static Tensor ChooseScale(Tensor input, FloatxType type)
    {
        ArgumentNullException.ThrowIfNull(type);
        CheckMatrix(input);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor magnitudes = BlockExtremes.Covers(input)
            ? BlockExtremes.Magnitudes(input, input.size(0)).to_type(ScalarType.Float32)
            : input.to_type(ScalarType.Float32).abs().amax([1]);
        Tensor largest = magnitudes.clamp(min: SmallestMagnitude);
        return (largest / type.Largest).to_type(input.dtype, copy: true).MoveToOuterDisposeScope();
    }

    /// <summary>Rounds <c>x / s</c> to the nearest code, ties to the even code; values beyond the largest
    /// saturate.</summary>
    /// <param name="input">Values <c>[N, K]</c>.</param>
    /// <param name="scale">Scales, N of them.</param>
    /// <param name="type">The type of the codes.</param>
    /// <returns>Codes <c>[N, K]</c>, uint8. NaN has no code: it becomes the largest value. The caller disposes
    /// it.</returns>
    /// <exception cref="QuantizationException">The input is no matrix, or the scales are not one a row.</exception>
    public static Tensor Quantize(Tensor input, Tensor scale, FloatxType type)
    {
        CheckMatrix(input);
        CheckScale(scale, input);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return BlockExtremes.Covers(input) && scale.dtype != ScalarType.Float64
            ? SmallFloatCodes.Compute(input, scale.to_type(ScalarType.Float32), type).MoveToOuterDisposeScope()
            : ByTensors(input, scale, type).MoveToOuterDisposeScope();
    }

    /// <summary>The reference of <see cref="Quantize"/>: the same by tensor arithmetic, on any device.</summary>
    internal static Tensor ByTensors(Tensor input, Tensor scale, FloatxType type)
    {
        using DisposeScope scope = NewDisposeScope();
        return Encode(input.to_type(ScalarType.Float32) / scale.reshape(-1, 1), type).MoveToOuterDisposeScope();
    }

    /// <summary>Computes <c>decode(q) · s</c> in float32 and casts it.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>, uint8.</param>
    /// <param name="scale">Scales, N of them.</param>
    /// <param name="type">The type of the codes.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The codes are no matrix, or the scales are not one a row.</exception>
    public static Tensor Dequantize(
        Tensor codes, Tensor scale, FloatxType type, ScalarType dtype = ScalarType.Float32)
    {
        CheckMatrix(codes);
        CheckScale(scale, codes);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor values = Decode(codes, type) * scale.to_type(ScalarType.Float32).reshape(-1, 1);
        return values.to_type(dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Rounds values to codes, nearest with ties to the even code.</summary>
    /// <param name="values">Values of any shape.</param>
    /// <param name="type">The type of the codes.</param>
    /// <returns>Codes, uint8; −0 keeps its sign. The caller disposes it.</returns>
    public static Tensor Encode(Tensor values, FloatxType type)
    {
        ArgumentNullException.ThrowIfNull(values);
        ArgumentNullException.ThrowIfNull(type);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor x = values.to_type(ScalarType.Float32).contiguous();
        Tensor thresholds = tensor(type.RoundingThresholds(), device: x.device);
        Tensor magnitude = bucketize(x.abs(), thresholds, outInt32: true, right: true);
        Tensor sign = x.signbit().to_type(ScalarType.Int32) * (1 << (type.Bits - 1));
        return (magnitude + sign).to_type(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    /// <summary>Looks the values of codes up.</summary>
    /// <param name="codes">Codes of any shape, uint8; bits above the type's are ignored.</param>
    /// <param name="type">The type of the codes.</param>
    /// <returns>Values, float32. The caller disposes it.</returns>
    public static Tensor Decode(Tensor codes, FloatxType type)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(type);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor table = tensor(type.Values(), device: codes.device);
        Tensor index = codes.to_type(ScalarType.Int64).bitwise_and((1 << type.Bits) - 1).flatten();
        return table.index_select(0, index).reshape(codes.shape).MoveToOuterDisposeScope();
    }

    private static void CheckMatrix(Tensor values)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values.dim() != 2 || values.shape[1] == 0)
        {
            throw new QuantizationException(
                $"Small floats got a tensor of shape [{string.Join(", ", values.shape)}]: expected a matrix [N, K] " +
                "with K of at least 1. Reshape it.");
        }
    }

    private static void CheckScale(Tensor scale, Tensor matrix)
    {
        ArgumentNullException.ThrowIfNull(scale);
        if (scale.numel() != matrix.shape[0])
        {
            throw new QuantizationException(
                $"Small floats [{string.Join(", ", matrix.shape)}] got {scale.numel()} scales: expected one a row, " +
                $"{matrix.shape[0]}. Choose them from the same matrix.");
        }
    }
}
