using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>16-bit activations times a weight of 4 or 8 bits that is decoded on its way into the matrix units of Hopper.</summary>
/// <remarks>A weight's values are rounded once to the type of the activations, sums are in float32: as dequantize and multiply, without
/// the weight in 16 bits ever being in memory.</remarks>
/// <param name="name">The kernel's name.</param>
/// <param name="maxRows">The most rows at which this pays; from there on the other kernel is faster.</param>
/// <param name="look">Finds codes and scales of a weight.</param>
/// <param name="other">The kernel for weights that this one has no decoder for.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
internal sealed class WeightOnlyGemm<TWeight>(
    string name, int maxRows, Func<TWeight, StoredCodes> look, ILinearKernel<TWeight> other) : ILinearKernel<TWeight>
    where TWeight : QuantizedTensor
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        WeightOnlyProduct.ReasonToRefuse(problem)
        ?? (problem.ActivationType == ScalarType.Float32 ? "takes BFloat16 or Float16 activations, not Float32"
        : problem.Rows > maxRows ? $"pays up to {maxRows} rows"
        : null);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias)
    {
        StoredCodes stored = look(weight);
        if (WeightOnlyProduct.Decoder(stored) is null)
        {
            return other.Run(input, weight, bias);
        }

        Tensor output = WeightOnlyProduct.Run(input, tokenScale: null, stored, bias, input.dtype);
        GC.KeepAlive(weight); // the addresses are its tensors'
        return output;
    }
}
