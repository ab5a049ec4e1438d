using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Floatx;

/// <summary>The values of small floats under one scale a row: <c>decode(code) · scale</c>.</summary>
/// <param name="type">The type of the codes.</param>
internal sealed class FloatxGrid(FloatxType type) : IQuantizationGrid
{
    public QParams ChooseQParams(Tensor weight) => new(RowBlocks.Compute(weight, rows =>
    {
        using Tensor scale = FloatxQuantization.ChooseScale(rows, type);
        return scale.reshape(-1, 1);
    }));

    public Tensor Quantize(Tensor weight, QParams qparams) =>
        RowBlocks.Compute(weight, qparams, (rows, parameters) => FloatxQuantization.Quantize(rows, parameters.Scale, type));

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => RowBlocks.Compute(
        codes, qparams, (rows, parameters) => FloatxQuantization.Dequantize(rows, parameters.Scale, type, dtype));

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        new FloatxTensor(codes.shape, dtype, type, PackedRows.Pack(codes, type.Bits), qparams.Scale.clone());
}
