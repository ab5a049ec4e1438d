using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>Dequantizes the weight in one pass and gives the product to libtorch's own: for many rows, where the pass is small beside it.</summary>
/// <param name="name">The kernel's name.</param>
/// <param name="look">Finds codes and scales of a weight.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
internal sealed class DequantizedLinear<TWeight>(string name, Func<TWeight, StoredCodes> look) : ILinearKernel<TWeight>
    where TWeight : QuantizedTensor
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => DeviceKernels.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias)
    {
        StoredCodes stored = look(weight);
        using Tensor? owned = stored.Owned;
        using Tensor values = Dequantizer.Run(stored, weight.Shape[0], weight.Shape[1], input.dtype);
        using Tensor? converted = DeviceKernels.Bias(bias, input.dtype);
        return nn.functional.linear(input, values, converted);
    }
}
