using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Queries that attend together, and the stretch of keys that at least one of them sees.</summary>
/// <remarks>
/// What a query sees follows from its position, so the mask of all queries is never made: a block's mask is at most
/// <see cref="Size"/> rows of its keys, linear in the text, as with torchao's <c>linear_causal_mask</c>.
/// </remarks>
/// <param name="Past">How many tokens are before the first new one.</param>
/// <param name="First">The first query, counted from the first new token.</param>
/// <param name="Count">How many queries.</param>
/// <param name="FirstKey">The first key, counted from the beginning of the text.</param>
internal readonly record struct QueryBlock(long Past, long First, long Count, long FirstKey)
{
    /// <summary>The most queries of a block.</summary>
    public const long Size = 64;

    /// <summary>Gets how many keys the block sees: up to that of its last query.</summary>
    public long Keys => Past + First + Count - FirstKey;

    /// <summary>Cuts the queries of new tokens into blocks, in order.</summary>
    /// <param name="past">How many tokens are before the new ones.</param>
    /// <param name="count">How many new tokens.</param>
    /// <param name="window">How many of the last tokens a query sees, itself included; all if absent.</param>
    public static IEnumerable<QueryBlock> Of(long past, long count, int? window)
    {
        for (long first = 0; first < count; first += Size)
        {
            long firstKey = window is int width ? Math.Max(0, past + first - width + 1) : 0;
            yield return new QueryBlock(past, first, Math.Min(Size, count - first), firstKey);
        }
    }

    /// <summary>Makes the mask: which keys each query sees.</summary>
    /// <returns>Bool <c>[Count, Keys]</c>. The caller disposes it.</returns>
    public Tensor Mask(int? window, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        long begin = Past + First;
        Tensor queries = arange(begin, begin + Count, device: device).unsqueeze(1);
        Tensor keys = arange(FirstKey, FirstKey + Keys, device: device).unsqueeze(0);
        Tensor visible = keys.le(queries);
        visible = window is int width ? visible.logical_and(keys.gt(queries.sub(width))) : visible;
        return visible.MoveToOuterDisposeScope();
    }
}
