using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>The values of 4-bit codes: <c>(code - 8) · scale + zero_point</c> with codes from 0 to 15.</summary>
/// <param name="groupSize">The count of consecutive input features that share one scale.</param>
/// <param name="mapping">How a group's values are laid onto the codes.</param>
internal sealed class Int4Grid(long groupSize, MappingType mapping) : IQuantizationGrid
{
    public QParams ChooseQParams(Tensor weight)
    {
        using IDisposable noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor groups = weight.detach().reshape(weight.size(0), -1, groupSize);
        if (mapping == MappingType.Symmetric)
        {
            return new QParams((groups.abs().amax([2]) / 7.5f).clamp(min: 1.1920929e-7f).MoveToOuterDisposeScope());
        }

        Tensor least = groups.amin([2]);
        Tensor scale = ((groups.amax([2]) - least) / 15f).clamp(min: 1e-6f);
        return new QParams(scale.MoveToOuterDisposeScope(), (least + (scale * 8)).MoveToOuterDisposeScope());
    }

    public Tensor Quantize(Tensor weight, QParams qparams) =>
        RowBlocks.Compute(weight.size(0), weight.size(1), (start, count) =>
        {
            using var scope = NewDisposeScope();
            using QParams rows = RowBlocks.Narrow(qparams, start, count);
            long group = weight.size(1) / rows.Scale.size(1);
            Tensor scale = rows.Scale.repeat_interleave(group, 1);
            Tensor values = weight.narrow(0, start, count);
            Tensor steps = rows.ZeroPoint is null
                ? (values * scale.reciprocal()).round() + 8
                : ((values - (rows.ZeroPoint - (rows.Scale * 8)).repeat_interleave(group, 1)) / scale).round();
            return steps.clamp(0, 15).to(ScalarType.Byte).MoveToOuterDisposeScope();
        });

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        RowBlocks.Compute(codes.size(0), codes.size(1), (start, count) =>
        {
            using Tensor block = codes.narrow(0, start, count);
            using QParams rows = RowBlocks.Narrow(qparams, start, count);
            return ToValues(block, rows, dtype);
        });

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new Int4Tensor(
        codes.shape, dtype, NibblePacking.Pack(codes), qparams.Scale.clone(), qparams.ZeroPoint?.clone());

    /// <summary>Computes the values of a few rows of codes.</summary>
    /// <param name="codes">Codes, uint8 <c>[rows, K]</c>.</param>
    /// <param name="qparams">Parameters <c>[rows, K / group]</c>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values <c>[rows, K]</c>. The caller disposes them.</returns>
    public static Tensor ToValues(Tensor codes, QParams qparams, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        long group = codes.size(1) / qparams.Scale.size(1);
        Tensor values = (codes.to(dtype) - 8) * qparams.Scale.repeat_interleave(group, 1);
        return (qparams.ZeroPoint is null ? values : values + qparams.ZeroPoint.repeat_interleave(group, 1)).to(dtype)
            .MoveToOuterDisposeScope();
    }
}
