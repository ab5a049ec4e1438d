using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Quantizes the rows of a weight in groups, in the two conventions that 4-bit weights come in.</summary>
public static class GroupwiseQuantization
{
    private const double TinyGemmSmallestScale = 1e-6;
    private const double SymmetricSmallestScale = 1.1920928955078125e-7;

    /// <summary>Gets the asymmetric scheme of libtorch's 4-bit products: codes from 0, zero points as values.</summary>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="parameterType">The type of scales and zero points; bfloat16 in libtorch's kernels.</param>
    /// <remarks>torchao's <c>get_groupwise_affine_qparams</c>.</remarks>
    public static AffineScheme TinyGemm(int bits = 4, ScalarType parameterType = ScalarType.BFloat16) =>
        new(QuantizedType.Int32.Within(0, QuantizedType.Unsigned(bits).Max))
        {
            Mapping = MappingType.Asymmetric,
            Domain = ZeroPointDomain.Float,
            PreserveZero = false,
            Epsilon = TinyGemmSmallestScale,
            ScaleType = parameterType,
            ZeroPointType = parameterType,
        };

    /// <summary>Gets the symmetric scheme: signed codes in int8, scales of at least float32's epsilon.</summary>
    /// <param name="bits">Bits of a code, 1 to 8. One bit means −1 and 0.</param>
    /// <param name="parameterType">The type of scales and zero points.</param>
    /// <param name="mapping">A symmetric mapping.</param>
    /// <remarks>torchao's <c>get_group_qparams_symmetric</c>. Its companion <c>group_quantize_tensor_symmetric</c> clamps to
    /// four bits whatever was asked; ours honours the bits.</remarks>
    public static AffineScheme Symmetric(
        int bits = 4,
        ScalarType parameterType = ScalarType.Float32,
        MappingType mapping = MappingType.Symmetric) =>
        new(QuantizedType.Signed(bits))
        {
            Mapping = mapping,
            Epsilon = SymmetricSmallestScale,
            ScaleType = parameterType,
            ZeroPointType = parameterType,
        };

    /// <summary>Chooses parameters and codes for groups of a matrix.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="groupSize">Elements of a group; divides K, at least 2.</param>
    /// <param name="scheme">A scheme, such as <see cref="TinyGemm"/>.</param>
    /// <returns>Codes <c>[N, K]</c> and parameters <c>[N, K / g]</c>. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The weight is no matrix, or the groups do not divide its rows.</exception>
    public static (Tensor Codes, QParams QParams) Quantize(Tensor weight, long groupSize, AffineScheme scheme)
    {
        ArgumentNullException.ThrowIfNull(weight);
        if (weight.dim() != 2 || groupSize < 2)
        {
            throw new QuantizationException(
                $"Groups of {groupSize} got a weight [{string.Join(", ", weight.shape)}]: expected a matrix [N, K] and " +
                "groups of at least 2.");
        }

        long[] block = new PerGroup(groupSize).BlockSize(weight.shape);
        QParams qparams = AffineQuantization.ChooseQParams(weight, block, scheme);
        // One scale for the whole row still keeps its column, so that [N, K / g] holds.
        QParams shaped = new(Columns(qparams.Scale, weight.shape[0]), qparams.ZeroPoint is Tensor zero ? Columns(zero, weight.shape[0]) : null);
        return (AffineQuantization.Quantize(weight, block, shaped, scheme), shaped);
    }

    /// <summary>Interleaves scales and zero points as libtorch's 4-bit products read them.</summary>
    /// <param name="scale">Scales <c>[N, K / g]</c>.</param>
    /// <param name="zeroPoint">Zero points <c>[N, K / g]</c>.</param>
    /// <returns><c>[K / g, N, 2]</c> in the type of the scales. The caller disposes it.</returns>
    /// <remarks>torchao's <c>pack_tinygemm_scales_and_zeros</c>.</remarks>
    public static Tensor PackTinyGemm(Tensor scale, Tensor zeroPoint)
    {
        ArgumentNullException.ThrowIfNull(scale);
        ArgumentNullException.ThrowIfNull(zeroPoint);
        using DisposeScope scope = NewDisposeScope();
        return stack([scale, zeroPoint], dim: 2).transpose(0, 1).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>Undoes <see cref="PackTinyGemm"/>.</summary>
    /// <param name="packed"><c>[K / g, N, 2]</c>.</param>
    /// <returns>Scales and zero points <c>[N, K / g]</c>. The caller disposes them.</returns>
    public static QParams UnpackTinyGemm(Tensor packed)
    {
        ArgumentNullException.ThrowIfNull(packed);
        using DisposeScope scope = NewDisposeScope();
        Tensor pairs = packed.transpose(0, 1);
        return new QParams(
            pairs.select(2, 0).clone().MoveToOuterDisposeScope(), pairs.select(2, 1).clone().MoveToOuterDisposeScope());
    }

    private static Tensor Columns(Tensor parameters, long rows)
    {
        using (parameters)
        {
            return parameters.reshape(rows, -1);
        }
    }
}
