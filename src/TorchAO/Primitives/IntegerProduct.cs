using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Multiplies int8 matrices exactly, on any device.</summary>
/// <remarks>The reference for fast kernels: integer arithmetic on the CPU, float64 elsewhere, where libtorch has no integer
/// product of every shape. Exact while K · 2¹⁴ fits an int32: up to K = 131,071. torchao's <c>safe_int_mm</c> and
/// <c>int_scaled_matmul</c>.</remarks>
public static class IntegerProduct
{
    /// <summary>Computes <c>y[i, k] = Σⱼ a[i, j] · b[j, k]</c>.</summary>
    /// <param name="a">int8 <c>[I, J]</c>.</param>
    /// <param name="b">int8 <c>[J, K]</c>.</param>
    /// <returns>int32 <c>[I, K]</c>. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">Types, shapes or devices do not fit.</exception>
    public static Tensor Multiply(Tensor a, Tensor b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Check(a, b);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        ScalarType working = a.device_type == DeviceType.CPU ? ScalarType.Int32 : ScalarType.Float64;
        return a.to_type(working).mm(b.to_type(working)).to_type(ScalarType.Int32).MoveToOuterDisposeScope();
    }

    /// <summary>Computes <c>y[i, k] = s[i] · Σⱼ a[i, j] · b[j, k]</c>.</summary>
    /// <param name="a">int8 <c>[I, J]</c>.</param>
    /// <param name="b">int8 <c>[J, K]</c>.</param>
    /// <param name="scale">Scales <c>[I, 1]</c>, or one.</param>
    /// <returns><c>[I, K]</c> in the type of the scales. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">Types, shapes or devices do not fit.</exception>
    public static Tensor MultiplyScaled(Tensor a, Tensor b, Tensor scale)
    {
        ArgumentNullException.ThrowIfNull(scale);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor products = Multiply(a, b);
        if (scale.numel() != 1 && !scale.shape.AsSpan().SequenceEqual([products.shape[0], 1]))
        {
            throw new QuantizationException(
                $"A scaled integer product [{string.Join(", ", products.shape)}] got scales " +
                $"[{string.Join(", ", scale.shape)}]: expected [{products.shape[0]}, 1] or a scalar. Reshape them.");
        }

        return (products * scale).MoveToOuterDisposeScope();
    }

    private static void Check(Tensor a, Tensor b)
    {
        bool fits = a.dtype == ScalarType.Int8 && b.dtype == ScalarType.Int8
            && a.dim() == 2 && b.dim() == 2 && a.shape[1] == b.shape[0] && a.device_type == b.device_type && a.device_index == b.device_index;
        if (!fits)
        {
            throw new QuantizationException(
                $"An integer product got {Describe(a)} and {Describe(b)}: expected I8 [I, J] and I8 [J, K] on one device.");
        }
    }

    private static string Describe(Tensor t) =>
        $"{ScalarTypes.NameOf(t.dtype)} [{string.Join(", ", t.shape)}] on {t.device}";
}
