namespace TorchAO.Kernels.Fused;

/// <summary>The heads of an attention layer.</summary>
/// <param name="Heads">H, query heads of a token.</param>
/// <param name="KeyValueHeads">KV, key and value heads of a token, a divisor of H; consecutive query heads share one.</param>
/// <param name="HeadSize">D, the numbers of a head.</param>
public readonly record struct AttentionShape(int Heads, int KeyValueHeads, int HeadSize)
{
    /// <summary>Gets how many query heads share a key head.</summary>
    public int Shared => Heads / KeyValueHeads;
}
