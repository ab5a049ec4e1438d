using TorchAO.Primitives.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Rounds a whole weight to −1, 0 and 1 times one scale: <c>x ≈ q · s</c>.</summary>
/// <remarks>Ma et al. 2024 (arXiv:2402.17764), equations 1 to 3. torchao's <c>get_bitnet_scale</c> and
/// <c>quantize_bitnet_weight</c>.</remarks>
public static class TernaryQuantization
{
    /// <summary>The least that a weight is divided by.</summary>
    public const double Epsilon = 1e-5;

    private static readonly QuantizedType Codes = QuantizedType.Int8.Within(-1, 1);

    /// <summary>Computes the scale, the mean magnitude.</summary>
    /// <param name="input">Values of any floating-point type, at least one.</param>
    /// <returns>A float32 scalar. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The tensor is empty.</exception>
    public static Tensor ChooseScale(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input.numel() == 0)
        {
            throw new QuantizationException(
                $"A ternary scale was asked for a tensor of shape [{string.Join(", ", input.shape)}]: expected at least one " +
                "element. Skip empty tensors.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return input.to_type(ScalarType.Float32).contiguous().abs().mean().MoveToOuterDisposeScope();
    }

    /// <summary>Rounds <c>x / max(s, 10⁻⁵)</c>, in float32, to the nearest of −1, 0 and 1.</summary>
    /// <param name="input">Values of any floating-point type.</param>
    /// <param name="scale">A scale that broadcasts against the input.</param>
    /// <returns>Codes in the shape of the input, int8. The caller disposes it.</returns>
    public static Tensor Quantize(Tensor input, Tensor scale)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(scale);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor step = scale.clamp(min: Epsilon);
        return BlockExtremes.Covers(input) && scale.numel() == 1 && scale.dtype == ScalarType.Float32
            ? BlockCodes.Divide(input, step, Codes).MoveToOuterDisposeScope()
            : ByTensors(input, step).MoveToOuterDisposeScope();
    }

    /// <summary>The reference of <see cref="Quantize"/>: <c>x / s</c> by tensor arithmetic, on any device.</summary>
    internal static Tensor ByTensors(Tensor input, Tensor step)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor scaled = input.to_type(ScalarType.Float32) / step;
        return scaled.round().clamp(-1, 1).to_type(ScalarType.Int8).MoveToOuterDisposeScope();
    }

    /// <summary>Takes the signs alone, without a scale; torchao's <c>BitnetTensor.from_float</c>.</summary>
    /// <param name="input">Values of any floating-point type.</param>
    /// <returns>Codes −1, 0 and 1 in the shape of the input, int8. The caller disposes it.</returns>
    public static Tensor Signs(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using IDisposable noGrad = no_grad();
        using Tensor signs = input.sign();
        return signs.to_type(ScalarType.Int8);
    }

    /// <summary>Computes <c>q · s</c> in float32 and casts it.</summary>
    /// <param name="codes">Codes.</param>
    /// <param name="scale">A scale that broadcasts against the codes.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values in the shape of the codes. The caller disposes it.</returns>
    public static Tensor Dequantize(Tensor codes, Tensor scale, ScalarType dtype = ScalarType.Float32) =>
        Float8Quantization.Dequantize(codes, scale, dtype); // the same arithmetic, whatever the type of the codes
}
