using TorchAO.Runtime.Cpu;

namespace TorchAO.Kernels.Fused;

/// <summary>Causal attention of a few new tokens to those of a cache in any format and to each other.</summary>
/// <remarks>
/// <c>y = softmax(q · kᵀ / √D) · v</c> in float32 with the softmax in one pass (Milakov and Gimelshein 2018, arXiv:1805.02867): keys and
/// values leave memory once, block by block, for all query heads that share them, and no row of scores is longer than a block. What is
/// stored is decoded a block at a time into the first-level cache. The new tokens see each other as they were computed. Cores share the
/// heads and, where these are few and the text is long, stretches of the text, whose sums are joined at the end.
/// <para>Holds scratch space that grows: one step at a time.</para>
/// </remarks>
public sealed unsafe class CachedAttention
{
    /// <summary>The most new tokens of a step, those of all sequences together.</summary>
    public const int MaxRows = 8;

    // A stretch must be long enough that joining it costs nothing beside it.
    private const int LeastStretch = 256;

    private readonly AttentionShape shape;
    private float[] partial = [];

    /// <summary>Prepares for a layer's shape.</summary>
    /// <exception cref="ArgumentException">The shape makes no sense.</exception>
    public CachedAttention(AttentionShape shape)
    {
        if (shape.Heads < 1 || shape.KeyValueHeads < 1 || shape.HeadSize < 1 || shape.Heads % shape.KeyValueHeads != 0)
        {
            throw new ArgumentException(
                $"{shape.Heads} query heads and {shape.KeyValueHeads} key heads of {shape.HeadSize} numbers, expected at least one of " +
                "each, and whole groups of query heads.", nameof(shape));
        }

        this.shape = shape;
    }

    /// <summary>Attends.</summary>
    /// <param name="inputs">How many tokens, and what they see.</param>
    /// <param name="queries">Queries <c>[B, T, H, D]</c>, rotated.</param>
    /// <param name="newKeys">Keys of the new tokens, <c>[B, T, KV, D]</c>, rotated.</param>
    /// <param name="newValues">Values of the new tokens, <c>[B, T, KV, D]</c>.</param>
    /// <param name="keys">The cache's keys of the layer; the first <see cref="AttentionInputs.Past"/> tokens are read.</param>
    /// <param name="values">The cache's values of the layer.</param>
    /// <param name="output">The result <c>[B, T, H, D]</c>; none of the inputs.</param>
    /// <exception cref="ArgumentException">A length or the cache's shape does not fit.</exception>
    public void Run(
        in AttentionInputs inputs, ReadOnlySpan<float> queries, ReadOnlySpan<float> newKeys, ReadOnlySpan<float> newValues,
        StoredRows keys, StoredRows values, Span<float> output)
    {
        ArgumentNullException.ThrowIfNull(keys);
        ArgumentNullException.ThrowIfNull(values);
        RequireFits(inputs, keys, values);
        long width = (long)shape.Heads * shape.HeadSize, keyWidth = (long)shape.KeyValueHeads * shape.HeadSize;
        SpanLengths.Require(queries.Length == inputs.Rows * width, nameof(queries), queries.Length, inputs.Rows * width);
        SpanLengths.Require(output.Length == queries.Length, nameof(output), output.Length, queries.Length);
        SpanLengths.Require(newKeys.Length == inputs.Rows * keyWidth, nameof(newKeys), newKeys.Length, inputs.Rows * keyWidth);
        SpanLengths.Require(newValues.Length == newKeys.Length, nameof(newValues), newValues.Length, newKeys.Length);
        if (inputs.Rows == 0)
        {
            return;
        }

        int tasks = inputs.Batch * shape.KeyValueHeads;
        int seen = inputs.Past - inputs.FirstSeen(0);
        int stretches = Stretches(tasks, seen);
        int rows = shape.Shared * inputs.Count;
        int sums = rows * (shape.HeadSize + AttentionTask.Facts);
        if (partial.Length < tasks * stretches * sums)
        {
            partial = GC.AllocateUninitializedArray<float>(tasks * stretches * sums, pinned: true);
        }

        fixed (float* q = queries, k = newKeys, v = newValues, y = output, p = partial)
        {
            var task = new AttentionTask
            {
                Shape = shape,
                Inputs = inputs,
                Stretches = stretches,
                Queries = q,
                NewKeys = k,
                NewValues = v,
                Keys = keys,
                Values = values,
                Partial = p,
                Output = y,
            };
            long work = Math.Max(1, 2L * rows * shape.HeadSize * ((seen / stretches) + inputs.Count));
            ParallelRows.Run((long)tasks * stretches, Math.Max(1, WorkPerWorker / work), task);
            task.Join(tasks);
        }
    }

    // About 32 thousand multiply-adds, some microseconds, pay for waking a worker.
    private const long WorkPerWorker = 1 << 15;

    // Two pieces a worker even out heads that take longer, where there are fewer heads than that.
    private static int Stretches(int tasks, int seen)
    {
        int wanted = ((2 * ParallelRows.WorkerCount) + tasks - 1) / tasks;
        return Math.Clamp(wanted, 1, Math.Max(1, seen / LeastStretch));
    }

    private void RequireFits(in AttentionInputs inputs, StoredRows keys, StoredRows values)
    {
        if (inputs.Batch < 0 || inputs.Count < 0 || inputs.Past < 0 || inputs.Window < 1 || (long)inputs.Batch * inputs.Count > MaxRows)
        {
            throw new ArgumentException(
                $"{inputs}: expected counts from 0, a window of at least 1, and at most {MaxRows} new tokens.", nameof(inputs));
        }

        foreach (StoredRows rows in (ReadOnlySpan<StoredRows>)[keys, values])
        {
            if (rows.Size != shape.HeadSize || rows.Heads != (long)inputs.Batch * shape.KeyValueHeads || rows.Capacity < inputs.Past)
            {
                throw new ArgumentException(
                    $"a cache of {rows.Heads} heads of {rows.Size} numbers with room for {rows.Capacity} tokens, expected " +
                    $"{inputs.Batch} · {shape.KeyValueHeads} heads of {shape.HeadSize} and at least {inputs.Past} tokens.", nameof(keys));
            }
        }
    }
}
