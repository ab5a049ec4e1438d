using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>A grid whose scales, codes and packed bytes a GPU makes in one pass over a weight, with the bits of its own operations on
/// the CPU.</summary>
/// <remarks>Handlers ask for it where the grid alone chooses codes; algorithms go on using its operations one by one.</remarks>
internal interface IOnePassGrid : IQuantizationGrid
{
    /// <summary>Plans the pass.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    WeightPlan Plan(Tensor weight);

    /// <summary>Makes the format's tensor of what the pass wrote.</summary>
    /// <param name="codes">Codes and parameters, which the tensor owns from here on.</param>
    /// <param name="shape">N and K.</param>
    /// <param name="dtype">The type of the weight.</param>
    /// <returns>The quantized tensor. The caller disposes it.</returns>
    QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype);
}
