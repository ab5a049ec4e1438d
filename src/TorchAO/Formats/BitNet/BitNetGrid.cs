using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.BitNet;

/// <summary>The values −1, 0 and 1 times the mean magnitude of the weight.</summary>
internal sealed class BitNetGrid : IOnePassGrid
{
    /// <summary>Bits of a stored code: −1 is 3, two's complement.</summary>
    public const int Bits = 2;

    public QParams ChooseQParams(Tensor weight)
    {
        using Tensor scale = TernaryQuantization.ChooseScale(weight);
        return new QParams(scale.view(1, 1));
    }

    public Tensor Quantize(Tensor weight, QParams qparams) =>
        RowBlocks.Compute(weight, rows => TernaryQuantization.Quantize(rows, qparams.Scale), BlockExtremes.Covers(weight));

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        RowBlocks.Compute(codes, rows => TernaryQuantization.Dequantize(rows, qparams.Scale, dtype));

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new BitNetTensor(
        codes.shape,
        dtype,
        RowBlocks.Compute(codes, rows =>
        {
            using Tensor unsigned = rows.bitwise_and(3).to_type(ScalarType.Byte);
            return BitStreamRows.Pack(unsigned, Bits);
        }),
        qparams.Scale.clone());

    // The mean of all magnitudes is libtorch's, as it is everywhere: another order of adding would give other bits.
    public WeightPlan Plan(Tensor weight)
    {
        using QParams qparams = ChooseQParams(weight);
        return new(CodeRule.Divided, ScaleChoice.Given, Bits, CodeLayout.Stream, int.MaxValue)
        {
            IsShared = true,
            Given = qparams.Scale.alias(),
            ScaleType = ScalarType.Float32,
            Smallest = TernaryQuantization.Epsilon,
            Range = (-1, 1),
        };
    }

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype) =>
        new BitNetTensor(shape, dtype, codes.Codes, codes.Scale);
}
