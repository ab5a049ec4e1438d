using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Quantizes a whole tensor to float8 with one scale: <c>x ≈ q · s</c>.</summary>
/// <remarks>Rows and blocks go through <see cref="AffineQuantization"/> with a float8 target. torchao's
/// <c>choose_qparams_affine_float8</c> and its two companions.</remarks>
public static class Float8Quantization
{
    /// <summary>Chooses the scale <c>amax / max</c>.</summary>
    /// <param name="input">Values of any floating-point type, at least one.</param>
    /// <param name="target">A float8 type.</param>
    /// <returns>A float32 scalar; 0 for a tensor of zeros, whose codes are then NaN as torchao's. The caller disposes it.
    /// </returns>
    /// <exception cref="QuantizationException">The target is no float8 type, or the tensor is empty.</exception>
    public static Tensor ChooseScale(Tensor input, QuantizedType target)
    {
        ArgumentNullException.ThrowIfNull(input);
        Check(target);
        if (input.numel() == 0)
        {
            throw new QuantizationException(
                $"A float8 scale was asked for a tensor of shape [{string.Join(", ", input.shape)}]: expected at least one " +
                "element. Skip empty tensors.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor largest = maximum(-input.min(), input.max());
        return (largest / ((target.Max - target.Min) / 2)).to_type(ScalarType.Float32, copy: true).MoveToOuterDisposeScope();
    }

    /// <summary>Casts <c>x / s</c>, clamped to the largest finite value, to float8.</summary>
    /// <param name="input">Values of any floating-point type.</param>
    /// <param name="scale">A scalar, or scales that broadcast against the input.</param>
    /// <param name="target">A float8 type.</param>
    /// <returns>Codes in the shape of the input. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The target is no float8 type.</exception>
    public static Tensor Quantize(Tensor input, Tensor scale, QuantizedType target)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(scale);
        Check(target);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor scaled = input.to_type(ScalarType.Float32) / scale;
        return scaled.clamp(target.Min, target.Max).to_type(target.Storage).MoveToOuterDisposeScope();
    }

    /// <summary>Computes <c>q · s</c> in float32 and casts it.</summary>
    /// <param name="codes">float8 codes.</param>
    /// <param name="scale">A scalar, or scales that broadcast against the codes.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values in the shape of the codes. The caller disposes it.</returns>
    public static Tensor Dequantize(Tensor codes, Tensor scale, ScalarType dtype = ScalarType.Float32)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(scale);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return (codes.to_type(ScalarType.Float32) * scale).to_type(dtype).MoveToOuterDisposeScope();
    }

    private static void Check(QuantizedType target)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (!target.IsFloat)
        {
            throw new QuantizationException(
                $"float8 quantization got codes of type {target.Name}: expected float8_e4m3fn or float8_e5m2.");
        }
    }
}
