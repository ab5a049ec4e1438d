using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Floatx;

/// <summary>The values of small floats under one scale a row: <c>decode(code) · scale</c>.</summary>
/// <param name="type">The type of the codes.</param>
internal sealed class FloatxGrid(FloatxType type) : IQuantizationGrid
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
}
