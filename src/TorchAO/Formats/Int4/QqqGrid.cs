using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>The values of QQQ's codes: <c>(code - 8) · scale</c> with one scale a row, <c>(code - 8) · scale · channel_scale</c>
/// with groups.</summary>
/// <param name="groupSize">The count of consecutive input features that share one scale; K for one scale a row.</param>
/// <remarks>Zhang et al. 2024, "QQQ" (arXiv:2406.09904), section 3.3.</remarks>
internal sealed class QqqGrid(long groupSize) : IQuantizationGrid
{
    /// <summary>The only size of groups that QQQ's kernels take.</summary>
    public const long GroupSize = 128;

    /// <summary>Bytes of a group's scale, float16.</summary>
    public const long GroupScaleBytes = 2;

    /// <summary>Bytes of a row's scale, float32.</summary>
    public const long ChannelScaleBytes = 4;

    // Codes of a row with one scale lie in the high half of an int8, and its scale is stored 16 times smaller.
    private const double HighHalf = 16;

    /// <summary>Chooses codes and parameters together: codes follow from a group's own step, before it is rounded to its row's.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <returns>Codes, uint8 <c>[N, K]</c>, and parameters. The caller disposes both.</returns>
    public (Tensor Codes, QParams QParams) Choose(Tensor weight)
    {
        using DisposeScope scope = NewDisposeScope();
        List<Tensor> groups = [];
        List<Tensor> channels = [];
        bool isPerRow = groupSize == weight.size(1);
        Tensor codes = RowBlocks.Compute(weight, rows =>
        {
            using QqqWeight chosen = QqqQuantization.Quantize(rows, groupSize);
            groups.Add(chosen.GroupScale.alias());
            channels.Add(chosen.ChannelScale.alias());
            using Tensor unsigned = isPerRow ? chosen.Codes + Int4Grid.Codes.Middle : chosen.Codes.alias();
            return unsigned.to(ScalarType.Byte);
        });
        Tensor channel = cat(channels);
        QParams qparams = isPerRow
            ? new QParams((channel * HighHalf).to(weight.dtype).MoveToOuterDisposeScope())
            : new TwoLevelQParams(cat(groups).MoveToOuterDisposeScope(), channel.MoveToOuterDisposeScope());
        return (codes.MoveToOuterDisposeScope(), qparams);
    }

    public QParams ChooseQParams(Tensor weight)
    {
        (Tensor codes, QParams qparams) = Choose(weight);
        codes.Dispose();
        return qparams;
    }

    public Tensor Quantize(Tensor weight, QParams qparams)
    {
        using QParams combined = Combined(qparams, weight.dtype);
        return Int4Grid.Codes.Quantize(weight, combined);
    }

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype)
    {
        using QParams combined = Combined(qparams, dtype);
        return Int4Grid.Codes.Dequantize(codes, combined, dtype);
    }

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new Int4Tensor(
        codes.shape, dtype, NibblePacking.Pack(codes), qparams.Scale.clone(), null, (qparams as TwoLevelQParams)?.ChannelScale.clone());

    private static QParams Combined(QParams qparams, ScalarType dtype) => new(qparams is TwoLevelQParams two
        ? TwoLevelQParams.Combine(two.Scale, two.ChannelScale, dtype)
        : qparams.Scale.alias());
}
