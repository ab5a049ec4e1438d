using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Activations that are rounded to integers a token, times a weight that is decoded on its way into the matrix units of Hopper.</summary>
/// <remarks>Integers of a token are exact in bfloat16, and so are their products with a weight's values, which are rounded to bfloat16; sums
/// are in float32 and get the token's scale at the end.</remarks>
/// <param name="name">The kernel's name.</param>
/// <param name="look">Finds codes and scales of a weight that <see cref="WeightOnlyProduct.Decoder"/> knows.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
internal sealed class RoundedWeightOnlyGemm<TWeight>(string name, Func<TWeight, StoredCodes> look) : IQuantizedActivationKernel<TWeight>
    where TWeight : QuantizedTensor
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        WeightOnlyProduct.ReasonToRefuse(problem) ?? TokenValues.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias) => throw new InvalidOperationException(
        $"{name} takes activations that are rounded to integers: expected an activation scheme, got none; run a kernel for floating point.");

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias, ActivationScheme activation)
    {
        (Tensor values, Tensor scales) = TokenValues.Run(input, activation);
        using Tensor valuesOwner = values, scalesOwner = scales;
        Tensor output = WeightOnlyProduct.Run(values, scales, look(weight), bias, input.dtype);
        GC.KeepAlive(weight); // the addresses are its tensors'
        return output;
    }
}
