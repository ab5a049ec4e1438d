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
        Tensor scale = RowBlocks.Compute(weight.size(0), weight.size(1), (start, count) =>
        {
            using Tensor rows = weight.narrow(0, start, count);
            return CodebookQuantization.ChooseScale(rows, blockSize == 1, scaleBlockSize);
        });
        using Tensor vectors = CodebookQuantization.Vectors(weight, scale, 1, blockSize);
        return new CodebookQParams(scale, KMeans.Fit(vectors, 1 << bits));
    }

    public Tensor Quantize(Tensor weight, QParams qparams) =>
        RowBlocks.Compute(weight.size(0), weight.size(1), (start, count) =>
        {
            using Tensor rows = weight.narrow(0, start, count);
            using QParams parameters = RowBlocks.Narrow(qparams, start, count);
            using Tensor vectors = CodebookQuantization.Vectors(rows, parameters.Scale, 1, blockSize);
            using Tensor codes = CodebookQuantization.Nearest(vectors, ((CodebookQParams)qparams).Codebook);
            return codes.reshape(count, -1);
        });

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        RowBlocks.Compute(codes.size(0), codes.size(1) * blockSize, (start, count) =>
        {
            using Tensor rows = codes.narrow(0, start, count);
            using QParams parameters = RowBlocks.Narrow(qparams, start, count);
            return CodebookQuantization.Dequantize(rows, ((CodebookQParams)qparams).Codebook, parameters.Scale, dtype: dtype);
        });

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new CodebookTensor(
        [codes.size(0), codes.size(1) * blockSize],
        dtype,
        bits,
        RowBlocks.Compute(codes.size(0), codes.size(1), (start, count) =>
        {
            using Tensor rows = codes.narrow(0, start, count);
            return BitStreamRows.Pack(rows, bits);
        }),
        qparams.Scale.clone(),
        ((CodebookQParams)qparams).Codebook.unsqueeze(0).clone());
}
