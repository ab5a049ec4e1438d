using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int8;

/// <summary>The values of symmetric int8: <c>code · scale</c> with codes from -128 to 127.</summary>
/// <param name="groupSize">The count of consecutive input features that share one scale.</param>
/// <param name="isNarrow">Whether code -128 is left out.</param>
internal sealed class Int8Grid(long groupSize, bool isNarrow = false) : IOnePassGrid
{
    /// <summary>The codes and how values are laid onto them.</summary>
    public static readonly AffineScheme Scheme = new(QuantizedType.Int8)
    {
        Domain = ZeroPointDomain.None,
        Epsilon = AffineRows.Float32Epsilon,
    };

    private static readonly AffineScheme NarrowScheme = Scheme with { Target = QuantizedType.Int8.Within(-127, 127) };

    public QParams ChooseQParams(Tensor weight) =>
        AffineRows.Choose(weight, (1, groupSize), isNarrow ? NarrowScheme : Scheme);

    public Tensor Quantize(Tensor weight, QParams qparams) => AffineRows.Quantize(weight, qparams, Scheme);

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        AffineRows.Dequantize(codes, qparams, Scheme, dtype);

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        new Int8Tensor(dtype, codes.clone(), qparams.Scale.clone());

    public WeightPlan Plan(Tensor weight) =>
        WeightPlan.Integers(isNarrow ? NarrowScheme : Scheme, QuantizedType.Int8, 8, CodeLayout.Bytes, groupSize);

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype) =>
        new Int8Tensor(dtype, codes.Codes, codes.Scale);
}
