using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>A 4-bit weight with at most two of four codes not zero, in the order in which Marlin's sparse kernel reads it.</summary>
/// <param name="Codes">int32 <c>[K / 32, 2 N]</c>: eight of the codes that are kept, half of all, a word.</param>
/// <param name="Scale">Scales <c>[G, N]</c>, G groups a row.</param>
/// <param name="Metadata">int16 <c>[K / 32, 2 N]</c>: for each four codes the places of the two that are kept, two bits each.</param>
/// <remarks>Owns its tensors.</remarks>
public sealed record MarlinSparseWeight(Tensor Codes, Tensor Scale, Tensor Metadata) : IDisposable
{
    /// <summary>Disposes the tensors.</summary>
    public void Dispose()
    {
        Codes.Dispose();
        Scale.Dispose();
        Metadata.Dispose();
    }
}
