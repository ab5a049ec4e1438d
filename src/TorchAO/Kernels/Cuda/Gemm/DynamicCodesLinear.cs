using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Computes a product of rounded activations and a weight's codes.</summary>
internal delegate Tensor CodesProduct(Tensor input, Tensor codes, Tensor scale, Tensor? bias, ActivationScheme scheme);

/// <summary>Says why a product of codes cannot be computed, or <see langword="null"/>.</summary>
internal delegate string? CodesRefusal(in LinearProblem problem);

/// <summary>Activations that are rounded at each call, times codes of one byte with a scale a row: a way to multiply as a kernel of a format.</summary>
/// <param name="name">The kernel's name.</param>
/// <param name="activation">The type of codes, of activations and weight alike.</param>
/// <param name="look">Finds codes and scales of a weight.</param>
/// <param name="refuse">Says what the product cannot take.</param>
/// <param name="multiply">The product.</param>
/// <param name="other">The kernel for weights in codes of another type, which gets the rounded values.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
internal sealed class DynamicCodesLinear<TWeight>(
    string name,
    ScalarType activation,
    Func<TWeight, StoredCodes> look,
    CodesRefusal refuse,
    CodesProduct multiply,
    ILinearKernel<TWeight> other) : IQuantizedActivationKernel<TWeight>
    where TWeight : QuantizedTensor
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        problem.Activation?.Target.Storage == activation
            ? refuse(problem)
            : $"takes activations in {ScalarTypes.NameOf(activation)} codes, not {problem.Activation?.ToString() ?? "floating point"}";

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias) => throw new InvalidOperationException(
        $"{name} multiplies codes of activations: expected an activation scheme, got none; run a kernel for floating point.");

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias, ActivationScheme activation)
    {
        StoredCodes stored = look(weight);
        if (stored.Codes.dtype == activation.Target.Storage)
        {
            Tensor output = multiply(input, stored.Codes, stored.Scale, bias, activation);
            GC.KeepAlive(weight); // the addresses are its tensors'
            return output;
        }

        using Tensor rounded = activation.Round(input);
        using Tensor product = other.Run(rounded, weight, bias);
        return product.to(input.dtype);
    }
}
