using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Floatx;

/// <summary>The values of small floats under one scale a row: <c>decode(code) · scale</c>.</summary>
/// <param name="type">The type of the codes.</param>
internal sealed class FloatxGrid(FloatxType type) : IQuantizationGrid
{
    public QParams ChooseQParams(Tensor weight) => new(RowBlocks.Compute(weight.size(0), weight.size(1), (start, count) =>
    {
        using Tensor rows = weight.narrow(0, start, count);
        using Tensor scale = FloatxQuantization.ChooseScale(rows, type);
        return scale.reshape(-1, 1);
    }));

    public Tensor Quantize(Tensor weight, QParams qparams) => InBlocks(
        weight, qparams, (rows, parameters) => FloatxQuantization.Quantize(rows, parameters.Scale, type));

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => InBlocks(
        codes, qparams, (rows, parameters) => FloatxQuantization.Dequantize(rows, parameters.Scale, type, dtype));

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new FloatxTensor(
        codes.shape,
        dtype,
        type,
        InBlocks(codes, qparams, (rows, _) => BitStreamRows.Pack(rows, type.Bits)),
        qparams.Scale.clone());

    private static Tensor InBlocks(Tensor matrix, QParams qparams, Func<Tensor, QParams, Tensor> step) =>
        RowBlocks.Compute(matrix.size(0), matrix.size(1), (start, count) =>
        {
            using Tensor rows = matrix.narrow(0, start, count);
            using QParams parameters = RowBlocks.Narrow(qparams, start, count);
            return step(rows, parameters);
        });
}
