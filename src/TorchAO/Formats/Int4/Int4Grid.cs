using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>
/// The values of 4-bit codes: <c>(code - 8) · scale + zero_point</c> with codes from 0 to 15, or
/// <c>(code - zero_point) · scale</c> where zero points are codes.
/// </summary>
/// <param name="groupSize">The count of consecutive input features that share one scale.</param>
/// <param name="mapping">How a group's values are laid onto the codes.</param>
/// <param name="isNarrow">Whether a symmetric grid leaves out its lowest code.</param>
/// <param name="domain">What the zero points of an asymmetric grid are: values or codes.</param>
/// <param name="smallestStep">The least step of an asymmetric grid.</param>
internal sealed class Int4Grid(
    long groupSize,
    MappingType mapping,
    bool isNarrow = false,
    ZeroPointDomain domain = ZeroPointDomain.Float,
    double smallestStep = Int4Grid.UsualSmallestStep)
    : IOnePassGrid
{
    /// <summary>torchao's least step of weight-only asymmetric grids.</summary>
    public const double UsualSmallestStep = 1e-6;

    /// <summary>The codes, whatever the zero points are.</summary>
    public static readonly UnsignedCodes Codes = UnsignedCodes.Of(4);

    // Symmetric steps are those of -8 to 7; the codes are stored 8 higher.
    private static readonly AffineScheme Signed = new(QuantizedType.Int4)
    {
        Domain = ZeroPointDomain.None,
        Epsilon = AffineRows.Float32Epsilon,
    };

    private static readonly QuantizedType Narrow = QuantizedType.Int4.Within(-7, 7);

    private static readonly AffineScheme ByValue = new(QuantizedType.UInt4)
    {
        Mapping = MappingType.Asymmetric,
        Domain = ZeroPointDomain.Float,
        PreserveZero = false,
    };

    private static readonly AffineScheme ByCode = ByValue with
    {
        Domain = ZeroPointDomain.Integer,
        PreserveZero = true,
        ZeroPointType = ScalarType.Byte,
    };

    private readonly AffineScheme scheme = mapping != MappingType.Asymmetric
        ? Signed with { Mapping = mapping, Target = isNarrow ? Narrow : QuantizedType.Int4 }
        : (domain == ZeroPointDomain.Integer ? ByCode : ByValue) with { Epsilon = smallestStep };

    public QParams ChooseQParams(Tensor weight) => AffineRows.Choose(weight, (1, groupSize), scheme);

    public Tensor Quantize(Tensor weight, QParams qparams) => Codes.Quantize(weight, qparams);

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => Codes.Dequantize(codes, qparams, dtype);

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new Int4Tensor(
        codes.shape, dtype, NibblePacking.Pack(codes), qparams.Scale.clone(), qparams.ZeroPoint?.clone());

    public WeightPlan Plan(Tensor weight) => WeightPlan.Integers(scheme, QuantizedType.UInt4, 4, CodeLayout.Nibbles, groupSize);

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype) =>
        new Int4Tensor(shape, dtype, codes.Codes, codes.Scale, codes.ZeroPoint);
}
