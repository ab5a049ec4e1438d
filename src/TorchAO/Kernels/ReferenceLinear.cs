using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels;

/// <summary>Dequantizes the weight and multiplies in floating point: there for every format and device, the oracle of all kernels.</summary>
internal static class ReferenceLinear
{
    /// <summary>The name in reports. A format whose only kernel is this one saves memory, not time.</summary>
    public const string KernelName = "reference";

    /// <summary>Computes <c>x · dequantize(W)ᵀ + b</c> in the type of the activations.</summary>
    /// <param name="input">Activations <c>[M, K]</c>.</param>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>.</param>
    /// <returns>The result <c>[M, N]</c>. The caller disposes it.</returns>
    public static Tensor Run(Tensor input, QuantizedTensor weight, Tensor? bias)
    {
        using Tensor dequantized = weight.Dequantize(input.dtype);
        using Tensor? converted = bias is null || bias.dtype == input.dtype ? null : bias.to(input.dtype);
        return nn.functional.linear(input, dequantized, converted ?? bias);
    }

    /// <summary>Computes the gradient with respect to the activations, <c>g · dequantize(W)</c>.</summary>
    /// <param name="gradient">The gradient of the result, <c>[M, N]</c>.</param>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <returns>The gradient <c>[M, K]</c>. The caller disposes it.</returns>
    public static Tensor InputGradient(Tensor gradient, QuantizedTensor weight)
    {
        using Tensor dequantized = weight.Dequantize(gradient.dtype);
        return gradient.mm(dequantized);
    }
}
