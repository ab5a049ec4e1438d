using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>The values of 4-bit codes: <c>(code - 8) · scale + zero_point</c> with codes from 0 to 15.</summary>
/// <param name="groupSize">The count of consecutive input features that share one scale.</param>
/// <param name="mapping">How a group's values are laid onto the codes.</param>
/// <param name="isNarrow">Whether a symmetric grid leaves out its lowest code.</param>
internal sealed class Int4Grid(long groupSize, MappingType mapping, bool isNarrow = false) : IQuantizationGrid
{
    private const int Middle = 8;

    // Symmetric steps are those of -8 to 7; the codes are stored 8 higher.
    private static readonly AffineScheme Signed = new(QuantizedType.Int4)
    {
        Domain = ZeroPointDomain.None,
        Epsilon = AffineRows.Float32Epsilon,
    };

    private static readonly AffineScheme Shifted = new(QuantizedType.UInt4);

    private static readonly QuantizedType Narrow = QuantizedType.Int4.Within(-7, 7);

    private static readonly AffineScheme Asymmetric = new(QuantizedType.UInt4)
    {
        Mapping = MappingType.Asymmetric,
        Domain = ZeroPointDomain.Float,
        PreserveZero = false,
        Epsilon = 1e-6,
    };

    public QParams ChooseQParams(Tensor weight) => AffineRows.Choose(
        weight, (1, groupSize), mapping == MappingType.Asymmetric
            ? Asymmetric
            : Signed with { Mapping = mapping, Target = isNarrow ? Narrow : QuantizedType.Int4 });

    public Tensor Quantize(Tensor weight, QParams qparams)
    {
        if (qparams.ZeroPoint is not null)
        {
            return AffineRows.Quantize(weight, qparams, Asymmetric);
        }

        using var shifted = new QParams(qparams.Scale.alias(), full_like(qparams.Scale, Middle));
        return AffineRows.Quantize(weight, shifted, Shifted);
    }

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => ToValues(codes, qparams, dtype);

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new Int4Tensor(
        codes.shape, dtype, NibblePacking.Pack(codes), qparams.Scale.clone(), qparams.ZeroPoint?.clone());

    /// <summary>Computes the values of codes; without a zero point, those of a symmetric grid.</summary>
    /// <param name="codes">Codes, uint8 <c>[N, K]</c>.</param>
    /// <param name="qparams">Parameters <c>[N, K / group]</c>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor ToValues(Tensor codes, QParams qparams, ScalarType dtype) =>
        AffineRows.Dequantize(codes, qparams, Asymmetric, dtype);
}
