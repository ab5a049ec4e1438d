using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8;

/// <summary>The values of 8-bit floating point: <c>code · scale</c>, the largest magnitude at the type's largest value.</summary>
/// <param name="codeType">float8 e4m3fn or e5m2.</param>
/// <param name="granularity">How many scales a weight has.</param>
/// <param name="scaleType">The type of the scales; that of the weight if absent.</param>
internal sealed class Float8Grid(ScalarType codeType, Float8Granularity granularity, ScalarType? scaleType = null)
    : IOnePassGrid
{
    private readonly AffineScheme scheme = Scheme(codeType) with { ScaleType = scaleType };

    /// <summary>Gets the codes and how values are laid onto them.</summary>
    public static AffineScheme Scheme(ScalarType codeType) => new(QuantizedType.Of(codeType))
    {
        Domain = ZeroPointDomain.None,
        Epsilon = AffineRows.Float32Epsilon,
    };

    public QParams ChooseQParams(Tensor weight) => AffineRows.Choose(
        weight, (granularity == Float8Granularity.PerRow ? 1 : weight.size(0), weight.size(1)), scheme);

    public Tensor Quantize(Tensor weight, QParams qparams) => AffineRows.Quantize(weight, qparams, scheme);

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        AffineRows.Dequantize(codes, qparams, scheme, dtype);

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        new Float8Tensor(dtype, codes.clone(), qparams.Scale.clone());

    public WeightPlan Plan(Tensor weight) => WeightPlan.Float8(scheme, granularity == Float8Granularity.PerTensor);

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype) =>
        new Float8Tensor(dtype, codes.Codes, codes.Scale);
}
