using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>What attention of one layer works on.</summary>
public sealed record CudaAttentionTensors
{
    /// <summary>Gets queries, keys and values of the new tokens, <c>[B, (heads + 2 kv heads) · head size]</c>.</summary>
    public required Tensor Projected { get; init; }

    /// <summary>Gets where results go, <c>[B, heads · head size]</c>, in the type of the projections.</summary>
    public required Tensor Output { get; init; }

    /// <summary>Gets the cache's keys as the codec of its format stores them, <c>[B, KV, capacity, …]</c> each.</summary>
    public required IReadOnlyList<Tensor> Keys { get; init; }

    /// <summary>Gets the cache's values, likewise.</summary>
    public required IReadOnlyList<Tensor> Values { get; init; }

    /// <summary>Gets the cosines of the rotary positions, float32 <c>[positions, head size]</c>.</summary>
    public required Tensor Cosine { get; init; }

    /// <summary>Gets their sines.</summary>
    public required Tensor Sine { get; init; }

    /// <summary>Gets the position of the new tokens, int32, one number.</summary>
    public required Tensor Position { get; init; }

    /// <summary>Gets room for partial results, from <see cref="CudaAttention.CreateScratch"/>.</summary>
    public required CudaAttentionScratch Scratch { get; init; }

    /// <summary>Gets the gain of the norm of queries, or <see langword="null"/>.</summary>
    public Tensor? QueryGain { get; init; }

    /// <summary>Gets the gain of the norm of keys, or <see langword="null"/>.</summary>
    public Tensor? KeyGain { get; init; }
}
