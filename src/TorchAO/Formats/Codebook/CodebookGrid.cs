using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Codebook;

/// <summary>The values of a codebook: <c>codebook[code] · scale</c>.</summary>
/// <param name="bits">Bits of a code, 1 to 8.</param>
/// <param name="blockSize">Consecutive input features that a code stands for.</param>
/// <param name="scaleBlockSize">Consecutive input features that share a scale.</param>
internal sealed class CodebookGrid(int bits, long blockSize, long scaleBlockSize) : IQuantizationGrid
{
    public QParams ChooseQParams(Tensor weight)
    {
        Tensor scale = RowBlocks.Compute(
            weight, rows => CodebookQuantization.ChooseScale(rows, blockSize == 1, scaleBlockSize));
        using Tensor vectors = CodebookQuantization.Vectors(weight, scale, 1, blockSize);
        return new CodebookQParams(scale, KMeans.Fit(vectors, 1 << bits));
    }

    public Tensor Quantize(Tensor weight, QParams qparams) => RowBlocks.Compute(weight, qparams, (rows, parameters) =>
    {
        using Tensor vectors = CodebookQuantization.Vectors(rows, parameters.Scale, 1, blockSize);
        using Tensor codes = CodebookQuantization.Nearest(vectors, TableOf(qparams));
        return codes.reshape(rows.size(0), -1);
    });

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => RowBlocks.Compute(
        codes, qparams, (rows, parameters) => CodebookQuantization.Dequantize(rows, TableOf(qparams), parameters.Scale, dtype: dtype));

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new CodebookTensor(
        [codes.size(0), codes.size(1) * blockSize],
        dtype,
        bits,
        PackedRows.Pack(codes, bits),
        qparams.Scale.clone(),
        TableOf(qparams).unsqueeze(0).clone());

    private static Tensor TableOf(QParams qparams) => ((CodebookQParams)qparams).Codebook;
}
