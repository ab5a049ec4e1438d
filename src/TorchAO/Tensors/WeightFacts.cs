using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Tensors;

/// <summary>All that a handler may look at when it decides whether a linear weight fits: known before the weight is read.</summary>
/// <param name="OutFeatures">N, rows of the weight.</param>
/// <param name="InFeatures">K, columns of the weight.</param>
/// <param name="DType">The weight's floating-point type.</param>
/// <param name="Device">Where the quantized weight will live.</param>
public readonly record struct WeightFacts(long OutFeatures, long InFeatures, ScalarType DType, DeviceType Device)
{
    /// <summary>Gets the size of the unquantized weight in bytes.</summary>
    public long Bytes => OutFeatures * InFeatures * ElementBytes;

    /// <summary>Gets the size of one element of the unquantized weight in bytes.</summary>
    public int ElementBytes => ScalarTypes.Of(DType).Bytes;

    /// <summary>Reads the facts off a weight <c>[N, K]</c>; dimensions beyond the second, as a convolution has, belong to K.</summary>
    public static WeightFacts Of(Tensor weight) =>
        new(weight.size(0), weight.dim() == 2 ? weight.size(1) : weight.numel() / Math.Max(weight.size(0), 1), weight.dtype, weight.device_type);
}
