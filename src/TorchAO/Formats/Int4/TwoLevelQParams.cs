using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>Scales of groups in steps of their row's scale: a code stands for <c>(code - 8) · scale · channel_scale</c>.</summary>
/// <param name="Scale">float16 <c>[N, K / group]</c>.</param>
/// <param name="ChannelScale">float32 <c>[N, 1]</c>.</param>
/// <remarks>Owns its tensors.</remarks>
internal sealed record TwoLevelQParams(Tensor Scale, Tensor ChannelScale) : QParams(Scale)
{
    /// <summary>Multiplies the two levels.</summary>
    /// <param name="scale">Scales of groups.</param>
    /// <param name="channelScale">Scales of rows.</param>
    /// <param name="dtype">The type of the weight. A float16 weight has products in float16, bit for bit as in torchao; there a
    /// row's scale below 6e-5 loses bits, so that other weights have theirs in float32.</param>
    /// <returns>Scales <c>[N, K / group]</c>. The caller disposes them.</returns>
    public static Tensor Combine(Tensor scale, Tensor channelScale, ScalarType dtype)
    {
        using IDisposable noGradient = no_grad();
        ScalarType type = dtype == ScalarType.Float16 ? ScalarType.Float16 : ScalarType.Float32;
        using Tensor groups = scale.to(type);
        using Tensor rows = channelScale.to(type);
        return groups * rows;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            ChannelScale.Dispose();
        }

        base.Dispose(disposing);
    }
}
