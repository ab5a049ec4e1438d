namespace TorchAO.Kernels.Fused;

/// <summary>The new tokens of a step and what they may see.</summary>
/// <param name="Batch">B, sequences side by side.</param>
/// <param name="Count">T, new tokens of each; B · T is at most <see cref="CachedAttention.MaxRows"/>.</param>
/// <param name="Past">How many tokens the cache holds before them.</param>
/// <param name="Window">How many of the last tokens a query sees, itself included; all if absent.</param>
public readonly record struct AttentionInputs(int Batch, int Count, int Past, int? Window = null)
{
    /// <summary>Gets B · T.</summary>
    public int Rows => Batch * Count;

    /// <summary>Gets the first token of the cache that the new token t sees.</summary>
    public int FirstSeen(int t) => Window is int width ? Math.Max(0, Past + t - width + 1) : 0;
}
