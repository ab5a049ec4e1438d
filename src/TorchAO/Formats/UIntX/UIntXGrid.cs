using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.UIntX;

/// <summary>
/// The values of codes from 0 to <c>2ᵇ − 1</c>: <c>(code − zero_point) · scale</c>, or with <c>2ᵇ⁻¹</c> in the zero point's
/// place where there is none. Signed codes are stored <c>2ᵇ⁻¹</c> higher, and so are their zero points.
/// </summary>
/// <param name="bits">Bits of a code, 1 to 8.</param>
/// <param name="groupSize">The count of consecutive input features that share one scale.</param>
/// <param name="scheme">How parameters are chosen; with <see cref="ZeroPointDomain.Integer"/> over unsigned codes.</param>
internal sealed class UIntXGrid(int bits, long groupSize, AffineScheme scheme) : IOnePassGrid
{
    private readonly UnsignedCodes codes = UnsignedCodes.Of(bits);

    /// <summary>The scheme of torchao's <c>UIntXWeightOnlyConfig</c>: asymmetric with integer zero points.</summary>
    public static AffineScheme Unsigned(int bits) => new(QuantizedType.Unsigned(bits))
    {
        Mapping = MappingType.Asymmetric,
        Epsilon = AffineRows.Float32Epsilon,
        ZeroPointType = ScalarType.Int32,
    };

    /// <summary>The scheme of half-quadratic quantization before its first round: asymmetric, zero points are values.</summary>
    public static AffineScheme Valued(int bits, double epsilon) => new(QuantizedType.Unsigned(bits))
    {
        Mapping = MappingType.Asymmetric,
        Domain = ZeroPointDomain.Float,
        PreserveZero = false,
        Epsilon = epsilon,
    };

    /// <summary>The schemes of torchao's experimental signed weights.</summary>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="mapping">How a group's values are laid onto the codes.</param>
    /// <param name="hasZeros">Whether an asymmetric mapping stores zero points, one byte a group. Without them the codes lie
    /// about zero, and what the range reaches beyond them is cut off.</param>
    public static AffineScheme Signed(int bits, MappingType mapping, bool hasZeros)
    {
        bool isAsymmetric = mapping == MappingType.Asymmetric;
        return isAsymmetric && hasZeros
            ? Unsigned(bits) with { ZeroPointType = ScalarType.Byte }
            : new AffineScheme(QuantizedType.Signed(bits))
            {
                Mapping = mapping,
                Domain = ZeroPointDomain.None,
                PreserveZero = !isAsymmetric,
                Epsilon = AffineRows.Float32Epsilon,
            };
    }

    public QParams ChooseQParams(Tensor weight) => AffineRows.Choose(weight, (1, groupSize), scheme);

    public Tensor Quantize(Tensor weight, QParams qparams) => codes.Quantize(weight, qparams);

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        this.codes.Dequantize(codes, qparams, dtype);

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new UIntXTensor(
        codes.shape, dtype, bits, ShardPacking.Pack(codes, bits), qparams.Scale.clone(), qparams.ZeroPoint?.clone());

    public WeightPlan Plan(Tensor weight) =>
        WeightPlan.Integers(scheme, QuantizedType.Unsigned(bits), bits, CodeLayout.Shards, groupSize);

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype) =>
        new UIntXTensor(shape, dtype, bits, codes.Codes, codes.Scale, codes.ZeroPoint);
}
