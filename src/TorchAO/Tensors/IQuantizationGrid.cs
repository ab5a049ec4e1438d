using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tensors;

/// <summary>The seam between formats and algorithms: the values a format can store, as four operations.</summary>
/// <remarks>
/// Post-training quantization, fake quantization, error-correcting algorithms and loading all go through the same grid, so
/// they share one arithmetic.
/// </remarks>
public interface IQuantizationGrid
{
    /// <summary>Chooses scales (and zero points) for a weight.</summary>
    /// <param name="weight">The weight <c>[N, K]</c> in float32, float16 or bfloat16.</param>
    /// <returns>The parameters. The caller disposes them.</returns>
    QParams ChooseQParams(Tensor weight);

    /// <summary>Rounds a weight to codes.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="qparams">Parameters from <see cref="ChooseQParams"/>, perhaps adjusted by an algorithm.</param>
    /// <returns>Unpacked codes <c>[N, K]</c>, one a storage element. The caller disposes them.</returns>
    Tensor Quantize(Tensor weight, QParams qparams);

    /// <summary>Computes the values of codes.</summary>
    /// <param name="codes">Codes <c>[N, K]</c> as <see cref="Quantize"/> makes them.</param>
    /// <param name="qparams">The same parameters.</param>
    /// <param name="dtype">The floating-point type of the result.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype);

    /// <summary>Packs codes and parameters into the format's canonical storage.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>; not consumed.</param>
    /// <param name="qparams">The parameters; not consumed.</param>
    /// <param name="dtype">The floating-point type of the weight that was quantized.</param>
    /// <returns>The quantized tensor. The caller disposes it.</returns>
    QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype);
}
