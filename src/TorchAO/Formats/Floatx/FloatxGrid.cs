using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Floatx;

/// <summary>The values of small floats under one scale a row: <c>decode(code) · scale</c>.</summary>
/// <param name="type">The type of the codes.</param>
internal sealed class FloatxGrid(FloatxType type) : IOnePassGrid
{
    public QParams ChooseQParams(Tensor weight)
    {
        Tensor scale = RowBlocks.Compute(
            weight,
            rows =>
            {
                using Tensor flat = FloatxQuantization.ChooseScale(rows, type);
                return flat.reshape(-1, 1);
            },
            BlockExtremes.Covers(weight));
        return new QParams(scale);
    }

    public Tensor Quantize(Tensor weight, QParams qparams) => RowBlocks.Compute(
        weight,
        qparams,
        (rows, parameters) => FloatxQuantization.Quantize(rows, parameters.Scale, type),
        BlockExtremes.Covers(weight));

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => RowBlocks.Compute(
        codes, qparams, (rows, parameters) => FloatxQuantization.Dequantize(rows, parameters.Scale, type, dtype));

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        new FloatxTensor(codes.shape, dtype, type, PackedRows.Pack(codes, type.Bits), qparams.Scale.clone());

    public WeightPlan Plan(Tensor weight) =>
        new(CodeRule.SmallFloat, ScaleChoice.SmallFloat, type.Bits, CodeLayout.Stream, int.MaxValue)
        {
            Divisor = type.Largest,
            Smallest = FloatxQuantization.SmallestMagnitude,
            Range = (double.NegativeInfinity, double.PositiveInfinity),
            FloatBits = (type.ExponentBits, type.MantissaBits),
        };

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype) =>
        new FloatxTensor(shape, dtype, type, codes.Codes, codes.Scale);
}
