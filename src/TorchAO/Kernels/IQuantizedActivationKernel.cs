using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels;

/// <summary>A kernel that rounds the activations itself and multiplies codes by codes.</summary>
/// <remarks>
/// Asked only about problems with an <see cref="LinearProblem.Activation"/>; plain kernels only about those without. Where none
/// takes a scheme, the executor rounds the activations to the scheme's values and runs a plain kernel on them.
/// </remarks>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
public interface IQuantizedActivationKernel<in TWeight> : ILinearKernel<TWeight>
    where TWeight : QuantizedTensor
{
    /// <summary>Computes the product of rounded activations.</summary>
    /// <param name="input">Activations <c>[M, K]</c> in floating point, M ≥ 1, contiguous, on the weight's device.</param>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>.</param>
    /// <param name="activation">The scheme.</param>
    /// <returns>The result <c>[M, N]</c> in the type of the activations. The caller disposes it.</returns>
    Tensor Run(Tensor input, TWeight weight, Tensor? bias, ActivationScheme activation);
}
