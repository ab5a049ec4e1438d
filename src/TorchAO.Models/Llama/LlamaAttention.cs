using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Fused;
using TorchAO.Models.Llama.Cuda;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Causal self-attention with rotary positions and grouped key and value heads.</summary>
internal sealed class LlamaAttention : nn.Module
{
    private readonly LlamaConfig config;
    private readonly nn.Module<Tensor, Tensor> q_proj;
    private readonly nn.Module<Tensor, Tensor> k_proj;
    private readonly nn.Module<Tensor, Tensor> v_proj;
    private readonly nn.Module<Tensor, Tensor> o_proj;
    private readonly RmsNorm? q_norm;
    private readonly RmsNorm? k_norm;

    public LlamaAttention(LlamaConfig config, ScalarType dtype, Device? device)
        : base(nameof(LlamaAttention))
    {
        this.config = config;
        (int hidden, int size) = (config.HiddenSize, config.HeadSize);
        bool bias = config.HasQueryKeyValueBias;
        q_proj = nn.Linear(hidden, config.Heads * size, bias, device, dtype);
        k_proj = nn.Linear(hidden, config.KeyValueHeads * size, bias, device, dtype);
        v_proj = nn.Linear(hidden, config.KeyValueHeads * size, bias, device, dtype);
        o_proj = nn.Linear(config.Heads * size, hidden, config.HasOutputBias, device, dtype);
        if (config.HasQueryKeyNorm)
        {
            q_norm = new RmsNorm(size, config.NormEpsilon, dtype, device);
            k_norm = new RmsNorm(size, config.NormEpsilon, dtype, device);
        }

        RegisterComponents();
    }

    /// <summary>Gets whether somebody waits for a norm to be called.</summary>
    public bool HasHooks => q_norm is { HasHooks: true } || k_norm is { HasHooks: true };

    /// <summary>Gets the layers in the order of <see cref="Record"/>.</summary>
    public IEnumerable<object> Layers => [q_proj, k_proj, v_proj, o_proj];

    /// <summary>Adds what attention does to a decode graph: from the residual stream behind a norm back to the stream.</summary>
    public void Record(DecodeRecorder recorder, RmsNorm norm, (Tensor Cosine, Tensor Sine) rotary, int layer, KeyValueCache cache)
    {
        GraphBuffers buffers = recorder.Buffers;
        recorder.Multiply([q_proj, k_proj, v_proj], buffers.Hidden, buffers.Projected, norm: norm);
        recorder.Attend(cache, layer, rotary, q_norm, k_norm);
        recorder.Multiply([o_proj], buffers.Attended, buffers.Hidden, GemvEpilogue.Add);
    }

    /// <summary>Attends from new tokens <c>[B, T, hidden]</c> to themselves and all in the cache. The caller disposes the result.</summary>
    public Tensor Forward(Tensor input, in AttentionStep step, int layer, KeyValueCache? cache)
    {
        using DisposeScope scope = NewDisposeScope();
        (long batch, long count) = (input.size(0), input.size(1));
        Tensor queries = Heads(q_proj, input, config.Heads, q_norm);
        Tensor keys = Heads(k_proj, input, config.KeyValueHeads, k_norm);
        Tensor values = Heads(v_proj, input, config.KeyValueHeads, null);
        queries = RotaryEmbedding.Rotate(queries, step.Cosine, step.Sine);
        keys = RotaryEmbedding.Rotate(keys, step.Cosine, step.Sine);
        if (cache is not null)
        {
            (keys, values) = cache.Append(layer, keys, values, count == 1 ? config.SlidingWindow : null);
        }

        Tensor attended = count == 1 ? AttendOne(queries, keys, values) : AttendMany(queries, keys, values, step.Past);
        Tensor merged = attended.transpose(1, 2).reshape(batch, count, config.Heads * config.HeadSize);
        return o_proj.call(merged).MoveToOuterDisposeScope();
    }

    /// <summary>Does the same for the few tokens of a decode step, which are in the buffers, and adds them to the cache. The caller
    /// disposes the result.</summary>
    public Tensor Decode(DecodeBuffers buffers, in AttentionStep step, int layer, KeyValueCache cache)
    {
        using DisposeScope scope = NewDisposeScope();
        int width = config.KeyValueHeads * config.HeadSize;
        Tensor input = buffers.Hidden.Seal();
        Rotate(q_proj.call(input), q_norm, step, buffers, buffers.Queries);
        Rotate(k_proj.call(input), k_norm, step, buffers, buffers.Keys);
        ReadOnlySpan<float> values = FloatValues.Of(FloatValues.Contiguous(v_proj.call(input)), buffers.First(width));
        (StoredRows storedKeys, StoredRows storedValues) = cache.Rows(layer);
        buffers.Attention.Run(
            new AttentionInputs(buffers.Batch, buffers.Count, step.Past, config.SlidingWindow), buffers.Queries, buffers.Keys, values,
            storedKeys, storedValues, buffers.Attended.Values);
        Store(storedKeys, buffers.Keys, buffers, step.Past);
        Store(storedValues, values, buffers, step.Past);
        return FloatValues.Contiguous(o_proj.call(buffers.Attended.Seal())).MoveToOuterDisposeScope();
    }

    // Heads [B, T, H, D] of a projection, normalized and rotated by the positions of their tokens.
    private void Rotate(Tensor projected, RmsNorm? norm, in AttentionStep step, DecodeBuffers buffers, float[] output)
    {
        int size = config.HeadSize, width = output.Length / (buffers.Batch * buffers.Count);
        ReadOnlySpan<float> heads = FloatValues.Of(FloatValues.Contiguous(projected), buffers.First(width));
        if (norm is not null)
        {
            norm.Run(heads, output, buffers.Second(width));
            heads = output;
        }

        ReadOnlySpan<float> cosine = TensorMemory.ReadOnlySpan<float>(step.Cosine), sine = TensorMemory.ReadOnlySpan<float>(step.Sine);
        for (int row = 0; row < buffers.Batch * buffers.Count; row++)
        {
            int position = row % buffers.Count * size;
            RotaryRows.Run(
                heads.Slice(row * width, width), cosine.Slice(position, size), sine.Slice(position, size), output.AsSpan(row * width, width));
        }
    }

    private void Store(StoredRows stored, ReadOnlySpan<float> rows, DecodeBuffers buffers, int past)
    {
        int size = config.HeadSize;
        for (int row = 0, at = 0; row < buffers.Batch * buffers.Count; row++)
        {
            (int sequence, int token) = (row / buffers.Count, row % buffers.Count);
            for (int head = 0; head < config.KeyValueHeads; head++, at += size)
            {
                stored.Store((sequence * config.KeyValueHeads) + head, past + token, rows.Slice(at, size));
            }
        }
    }

    private Tensor Heads(nn.Module<Tensor, Tensor> projection, Tensor input, int heads, RmsNorm? norm)
    {
        Tensor split = projection.call(input).view(input.size(0), input.size(1), heads, config.HeadSize);
        return (norm is null ? split : norm.call(split)).transpose(1, 2);
    }

    // One query a head: the queries that share a key head stand as rows of one small matrix, and no key is copied.
    private Tensor AttendOne(Tensor queries, Tensor keys, Tensor values)
    {
        int shared = config.Heads / config.KeyValueHeads;
        Tensor rows = queries.reshape(queries.size(0), config.KeyValueHeads, shared, config.HeadSize);
        return nn.functional.scaled_dot_product_attention(rows, keys, values)
            .reshape(queries.size(0), config.Heads, 1, config.HeadSize);
    }

    // At the beginning of a text libtorch's own causality says it all. Behind a cache, or with a window, it does not: blocks of
    // queries then get a mask of their own, which is as wide as what they see, and no buffer grows with the square of the text.
    private Tensor AttendMany(Tensor queries, Tensor keys, Tensor values, int past)
    {
        int shared = config.Heads / config.KeyValueHeads;
        (keys, values) = (Repeat(keys, shared), Repeat(values, shared));
        long count = queries.size(2);
        if (past == 0 && !(config.SlidingWindow < count))
        {
            return nn.functional.scaled_dot_product_attention(queries, keys, values, null, 0, is_casual: true);
        }

        return cat([.. QueryBlock.Of(past, count, config.SlidingWindow).Select(block => AttendBlock(block, queries, keys, values))], 2);
    }

    private Tensor AttendBlock(QueryBlock block, Tensor queries, Tensor keys, Tensor values)
    {
        using DisposeScope scope = NewDisposeScope();
        return nn.functional.scaled_dot_product_attention(
            queries.narrow(2, block.First, block.Count),
            keys.narrow(2, block.FirstKey, block.Keys),
            values.narrow(2, block.FirstKey, block.Keys),
            block.Mask(config.SlidingWindow, queries.device),
            0,
            is_casual: false).MoveToOuterDisposeScope();
    }

    private static Tensor Repeat(Tensor heads, int times)
    {
        if (times == 1)
        {
            return heads;
        }

        (long batch, long count, long length, long size) = (heads.size(0), heads.size(1), heads.size(2), heads.size(3));
        return heads.unsqueeze(2).expand(batch, count, times, length, size).reshape(batch, count * times, length, size);
    }
}

/// <summary>What all layers of one step share.</summary>
/// <param name="Cosine">Cosines of the new positions, <c>[T, D]</c>.</param>
/// <param name="Sine">Sines of the new positions, <c>[T, D]</c>.</param>
/// <param name="Past">How many tokens are before the new ones; with their positions it says what each query sees.</param>
internal readonly record struct AttentionStep(Tensor Cosine, Tensor Sine, int Past);
