using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Four-bit weights for int8 activations, in two steps: groups of codes, rounded to int8 of the
/// channel.</summary>
/// <remarks>Zhang et al. 2024, "QQQ" (arXiv:2406.09904), section 3.3. torchao's
/// <c>choose_qparams_and_quantize_affine_qqq</c> and <c>dequantize_affine_qqq</c>.</remarks>
public static class QqqQuantization
{
    private const int GroupTop = 15;
    private const int GroupMiddle = 8;
    private const int ChannelTop = 7;
    private const int NibbleShift = 16;

    /// <summary>Chooses scales and codes.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>, floating point.</param>
    /// <param name="groupSize">Elements of a row that share a scale; −1 or K for one scale a row.</param>
    /// <returns>Codes, scales and the values they stand for. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The weight is no matrix, or the groups do not divide its
    /// rows.</exception>
    public static QqqWeight Quantize(Tensor weight, long groupSize)
    {
        Check(weight, groupSize);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        bool wholeRows = groupSize == -1 || groupSize == weight.shape[1];
        QqqWeight result = wholeRows ? ByChannel(weight) : ByGroup(weight, groupSize);
        result.Codes.MoveToOuterDisposeScope();
        result.GroupScale.MoveToOuterDisposeScope();
        result.ChannelScale.MoveToOuterDisposeScope();
        result.Reference.MoveToOuterDisposeScope();
        return result;
    }

    /// <summary>Computes values: <c>(q − 8) · s_group · s_channel</c>, or <c>q · 16 · s_channel</c> without
    /// groups.</summary>
    /// <param name="codes">Codes <c>[N, K]</c> as <see cref="Quantize"/> makes them.</param>
    /// <param name="groupScale">Group scales; empty without groups.</param>
    /// <param name="channelScale">Channel scales.</param>
    /// <param name="dtype">The type of the result; the arithmetic is float16 with groups and float32 without.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes it.</returns>
    public static Tensor Dequantize(
        Tensor codes, Tensor groupScale, Tensor channelScale, ScalarType dtype = ScalarType.Float16)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(groupScale);
        ArgumentNullException.ThrowIfNull(channelScale);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (groupScale.numel() == 0)
        {
            Tensor plain = codes.to_type(ScalarType.Float16) * (channelScale * NibbleShift);
            return plain.to_type(dtype).MoveToOuterDisposeScope();
        }

        Tensor steps = (codes - GroupMiddle).to_type(ScalarType.Float16)
            .reshape(groupScale.shape[0], groupScale.shape[1], -1);
        Tensor scale = (groupScale * channelScale.to_type(ScalarType.Float16)).unsqueeze(-1);
        return (steps * scale).reshape(codes.shape).to_type(dtype).MoveToOuterDisposeScope();
    }

    private static QqqWeight ByGroup(Tensor weight, long groupSize)
    {
        long rows = weight.shape[0];
        Tensor w = weight.reshape(-1, groupSize);
        Tensor step = w.abs().amax([-1], keepdim: true) * (2.0 / GroupTop);
        Tensor codes = ((w / NotZero(step)).round().to_type(ScalarType.Int32) + GroupMiddle).clamp(0, GroupTop);
        Tensor values = ((codes - GroupMiddle).to_type(ScalarType.Float16) * step).reshape(weight.shape);
        Tensor channel = NotZero(values.abs().amax([-1], keepdim: true) / 127.0);
        Tensor bytes = (values / channel).round().clamp(-128, 127).to_type(ScalarType.Int8);
        Tensor channelScale = channel.to_type(ScalarType.Float32, copy: true);
        return new QqqWeight(
            codes.reshape(weight.shape),
            (step.reshape(rows, -1) / channelScale).to_type(ScalarType.Float16),
            channelScale,
            bytes.to_type(ScalarType.Float16) * channel);
    }

    private static QqqWeight ByChannel(Tensor weight)
    {
        Tensor step = weight.abs().amax([-1], keepdim: true) / (double)ChannelTop;
        Tensor codes = (weight / NotZero(step)).round().to_type(ScalarType.Int32).clamp(-ChannelTop, ChannelTop);
        return new QqqWeight(
            codes,
            empty(0, ScalarType.Float16, weight.device),
            (step / (double)NibbleShift).to_type(ScalarType.Float32),
            codes.to_type(ScalarType.Float16) * step);
    }

    // torchao divides zero by zero where a row or a group is all zeros; its values are NaN there, ours are zero.
    private static Tensor NotZero(Tensor step) => step + step.eq(0).to_type(step.dtype);

    private static void Check(Tensor weight, long groupSize)
    {
        ArgumentNullException.ThrowIfNull(weight);
        bool fits = weight.dim() == 2 && weight.numel() > 0
            && (groupSize == -1 || (groupSize > 0 && weight.shape[1] % groupSize == 0));
        if (!fits)
        {
            throw new QuantizationException(
                $"QQQ got a weight [{string.Join(", ", weight.shape)}] and groups of {groupSize}: expected a matrix " +
                "[N, K] that is not empty and a group size that divides K, or −1 for one group a row.");
        }
    }
}
