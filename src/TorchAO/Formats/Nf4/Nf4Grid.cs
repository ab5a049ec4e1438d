using System.Numerics;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.Nf4;

/// <summary>The values <c>table[code] · scale</c>; packing, and so dequantizing, rounds the scales of all rows together.</summary>
/// <param name="blockSize">The count of consecutive input features that share a scale.</param>
/// <param name="scalerBlockSize">The count of scales that share a factor, taken row by row.</param>
internal sealed class Nf4Grid(long blockSize, long scalerBlockSize) : IOnePassGrid
{
    public QParams ChooseQParams(Tensor weight) =>
        new(RowBlocks.Compute(weight, rows => Nf4Quantization.ChooseScale(rows, blockSize), BlockExtremes.Covers(weight)));

    public Tensor Quantize(Tensor weight, QParams qparams) => RowBlocks.Compute(
        weight, qparams, (rows, parameters) => Nf4Quantization.Quantize(rows, parameters.Scale), BlockExtremes.Covers(weight));

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype)
    {
        using QuantizedTensor packed = Pack(codes, qparams, qparams.Scale.dtype);
        return packed.Dequantize(dtype);
    }

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        Store(PackedRows.Pack(codes, Nf4Tensor.Bits), qparams.Scale, codes.shape, dtype);

    public WeightPlan Plan(Tensor weight)
    {
        using Tensor table = Nf4Quantization.Table(weight.dtype), values = table.to_type(ScalarType.Float32);
        return new(CodeRule.Table, ScaleChoice.Magnitude, Nf4Tensor.Bits, CodeLayout.Stream, blockSize)
        {
            Table = TensorMemory.ReadOnlySpan<float>(values).ToArray(),
        };
    }

    public QuantizedTensor Store(WeightCodes codes, IReadOnlyList<long> shape, ScalarType dtype)
    {
        using Tensor magnitudes = codes.Scale;
        return Store(codes.Codes, magnitudes, shape, dtype);
    }

    /// <summary>Gets how many neighbouring scales of a row surely share a factor: rows then cut anywhere between units.</summary>
    public static long UnitOf(long blocks, long scalerBlockSize) => (long)BigInteger.GreatestCommonDivisor(blocks, scalerBlockSize);

    // Scales are few: operators round them, on every device.
    private Nf4Tensor Store(Tensor packed, Tensor magnitudes, IReadOnlyList<long> shape, ScalarType dtype)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor scales, Tensor factor, Tensor mean) = Nf4Quantization.QuantizeScale(magnitudes, scalerBlockSize);
        (long rows, long blocks) = (scales.size(0), scales.size(1));
        long unit = UnitOf(blocks, scalerBlockSize);

        // The first scale of each unit says which factor all of the unit have.
        Tensor first = arange(0, rows * blocks, unit, device: packed.device).div(scalerBlockSize, RoundingMode.floor);
        return new Nf4Tensor(
            shape,
            dtype,
            packed,
            scales,
            factor.index_select(0, first.to_type(ScalarType.Int64)).reshape(rows, -1),
            mean.reshape(1, 1));
    }
}
