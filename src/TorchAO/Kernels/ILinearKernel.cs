using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels;

/// <summary>A way to compute <c>y = x · Wᵀ + b</c> with a weight of one format on one kind of device.</summary>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
public interface ILinearKernel<in TWeight>
    where TWeight : QuantizedTensor
{
    /// <summary>Gets the name in reports: format, device, operation, such as <c>int8.cpu.linear</c>.</summary>
    string Name { get; }

    /// <summary>Says why the kernel cannot take a problem, or <see langword="null"/> if it can. Pure; looks at nothing but the problem.</summary>
    string? ReasonToRefuse(in LinearProblem problem);

    /// <summary>Computes the product.</summary>
    /// <param name="input">Activations <c>[M, K]</c>, M ≥ 1, contiguous, on the weight's device.</param>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="bias">The bias <c>[N]</c>, or <see langword="null"/>.</param>
    /// <returns>The result <c>[M, N]</c> in the type of the activations. The caller disposes it.</returns>
    Tensor Run(Tensor input, TWeight weight, Tensor? bias);
}
