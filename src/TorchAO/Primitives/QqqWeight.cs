using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>A weight in four bits whose values are products of int8: codes, group scales in steps of the channel, channel
/// scales.</summary>
/// <param name="Codes">int32 <c>[N, K]</c>: 0…15 with groups, −7…7 without.</param>
/// <param name="GroupScale">float16 <c>[N, K / g]</c>, in units of the channel's scale; empty without groups.</param>
/// <param name="ChannelScale">float32 <c>[N, 1]</c>; without groups a 16th of the step, as the codes lie in the high half of
/// an int8.</param>
/// <param name="Reference">float16 <c>[N, K]</c>: the values that an int8 × int8 kernel computes with.</param>
/// <remarks>Owns its tensors.</remarks>
public sealed record QqqWeight(Tensor Codes, Tensor GroupScale, Tensor ChannelScale, Tensor Reference) : IDisposable
{
    /// <summary>Disposes the tensors.</summary>
    public void Dispose()
    {
        Codes.Dispose();
        GroupScale.Dispose();
        ChannelScale.Dispose();
        Reference.Dispose();
    }
}
