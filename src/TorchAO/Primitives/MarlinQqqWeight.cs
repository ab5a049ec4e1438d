using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>A QQQ weight in the order in which Marlin's kernel for int8 activations reads it.</summary>
/// <param name="Codes">int32 <c>[K / 16, 2 N]</c>: eight codes a word.</param>
/// <param name="GroupScale">float16 <c>[K / 128, N]</c>; empty with one scale a row.</param>
/// <param name="ChannelScale">float32 <c>[1, N]</c>.</param>
/// <remarks>Owns its tensors.</remarks>
public sealed record MarlinQqqWeight(Tensor Codes, Tensor GroupScale, Tensor ChannelScale) : IDisposable
{
    /// <summary>Disposes the tensors.</summary>
    public void Dispose()
    {
        Codes.Dispose();
        GroupScale.Dispose();
        ChannelScale.Dispose();
    }
}
