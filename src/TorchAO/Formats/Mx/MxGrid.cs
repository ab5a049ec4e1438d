using TorchAO.Numerics;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Mx;

/// <summary>The values of blocks of small floats: <c>decode(code) · 2^(scale − 127)</c>.</summary>
/// <param name="element">The type of the codes.</param>
/// <param name="blockSize">The count of consecutive input features that share a scale.</param>
/// <param name="scaling">How a scale follows from its block's largest magnitude.</param>
internal sealed class MxGrid(MxElementType element, long blockSize, ScaleRounding scaling) : IOnePassGrid
{
    public QParams ChooseQParams(Tensor weight) => new(RowBlocks.Compute(
        weight, rows => MxQuantization.ChooseScale(rows, element, blockSize, scaling), BlockExtremes.Covers(weight)));

    public Tensor Quantize(Tensor weight, QParams qparams) => RowBlocks.Compute(
        weight, qparams, (rows, parameters) => MxQuantization.Quantize(rows, parameters.Scale, element), BlockExtremes.Covers(weight));

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => RowBlocks.Compute(
        codes, qparams, (rows, parameters) => MxQuantization.Dequantize(rows, parameters.Scale, element, dtype));

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new MxTensor(
        codes.shape, dtype, element, PackedRows.Pack(codes, MxElement.Of(element).Bits), qparams.Scale.clone());

    public WeightPlan Plan(Tensor weight)
    {
        var type = MxElement.Of(element);
        return new(CodeRule.SmallFloat, ScaleChoice.Exponent, type.Bits, CodeLayout.Stream, blockSize)
        {
            ScaleType = ScalarType.Byte,
            Scaling = scaling,
            Range = (-type.Largest, type.Largest),
            FloatBits = (type.Codes.ExponentBits, type.Codes.MantissaBits),
            MaxExponent = type.MaxExponent,
        };
    }

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype) =>
        new MxTensor(shape, dtype, element, codes.Codes, codes.Scale);
}
