using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>The affine arithmetic on weights, a few rows at a time: the one path of all formats with scale and zero point.</summary>
/// <remarks>Parameters are <c>[N, K / group]</c>, or <c>[1, 1]</c> for one scale in all; their shape says what shares a scale.</remarks>
internal static class AffineRows
{
    /// <summary>The smallest scale where torchao takes float32's epsilon whatever the type of the weight.</summary>
    public const double Float32Epsilon = 1.1920928955078125e-7;

    /// <summary>Chooses parameters.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="blockSize">Rows and input features that share a scale.</param>
    /// <param name="scheme">The codes and the mapping.</param>
    /// <returns>Parameters <c>[N / rows, K / features]</c>. The caller disposes them.</returns>
    public static QParams Choose(Tensor weight, (long Rows, long Features) blockSize, AffineScheme scheme)
    {
        using QParams flat = AffineQuantization.ChooseQParams(weight, [blockSize.Rows, blockSize.Features], scheme);
        long[] shape = [weight.size(0) / blockSize.Rows, weight.size(1) / blockSize.Features];
        return new QParams(flat.Scale.reshape(shape), flat.ZeroPoint?.reshape(shape));
    }

    /// <summary>Rounds a weight to codes.</summary>
    /// <returns>Codes <c>[N, K]</c>, one an element. The caller disposes them.</returns>
    public static Tensor Quantize(Tensor weight, QParams qparams, AffineScheme scheme) =>
        RowBlocks.Compute(
            weight,
            qparams,
            (rows, parameters) => AffineQuantization.Quantize(rows, BlockSize(rows, parameters), parameters, scheme),
            AffineQuantization.IsInOnePass(weight, scheme));

    /// <summary>Computes the values of codes.</summary>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor Dequantize(Tensor codes, QParams qparams, AffineScheme scheme, ScalarType dtype) =>
        RowBlocks.Compute(codes, qparams, (rows, parameters) =>
        {
            long[] blockSize = BlockSize(rows, parameters);
            if (dtype != ScalarType.Float64)
            {
                return AffineQuantization.Dequantize(rows, blockSize, parameters, scheme, dtype);
            }

            using Tensor values = AffineQuantization.Dequantize(rows, blockSize, parameters, scheme);
            return values.to(dtype);
        });

    private static long[] BlockSize(Tensor rows, QParams parameters) =>
        [rows.size(0) / parameters.Scale.size(0), rows.size(1) / parameters.Scale.size(1)];
}
