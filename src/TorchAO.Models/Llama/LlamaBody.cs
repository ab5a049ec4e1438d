using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Embedding, layers and last norm.</summary>
internal sealed class LlamaBody : nn.Module
{
    private readonly LlamaConfig config;
    private readonly RotaryEmbedding rotary;
    private readonly Embedding embed_tokens;
    private readonly ModuleList<LlamaLayer> layers;
    private readonly RmsNorm norm;

    public LlamaBody(LlamaConfig config, ScalarType dtype, Device? device)
        : base(nameof(LlamaBody))
    {
        this.config = config;
        rotary = new RotaryEmbedding(config);
        embed_tokens = nn.Embedding(config.VocabSize, config.HiddenSize, device: device, dtype: dtype);
        layers = nn.ModuleList(
            [.. Enumerable.Range(0, config.Layers).Select(_ => new LlamaLayer(config, dtype, device))]);
        norm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dtype, device);
        RegisterComponents();
    }

    public Embedding Embedding => embed_tokens;

    /// <summary>Computes the hidden states <c>[B, T, hidden]</c> of ids <c>[B, T]</c>. The caller disposes them.</summary>
    public Tensor Forward(Tensor ids, KeyValueCache? cache)
    {
        using DisposeScope scope = NewDisposeScope();
        int past = cache?.Length ?? 0;
        long count = ids.size(1);
        (Tensor cosine, Tensor sine) = rotary.At(past, count, ids.device);
        var step = new AttentionStep(cosine, sine, Mask(past, count, ids.device));
        Tensor hidden = embed_tokens.call(ids);
        for (int i = 0; i < layers.Count; i++)
        {
            Tensor next = layers[i].Forward(hidden, step, i, cache);
            hidden.Dispose();
            hidden = next;
        }

        return norm.call(hidden).MoveToOuterDisposeScope();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            rotary.Dispose();
        }

        base.Dispose(disposing);
    }

    // Several queries behind a cache, or a window: plain causality does not say it.
    private Tensor? Mask(int past, long count, Device device)
    {
        bool isWindowed = config.SlidingWindow < past + count;
        if (count == 1 || (past == 0 && !isWindowed))
        {
            return null;
        }

        Tensor queries = arange(past, past + count, device: device).unsqueeze(1);
        Tensor keys = arange(0, past + count, device: device).unsqueeze(0);
        Tensor visible = keys.le(queries);
        return config.SlidingWindow is int window ? visible.logical_and(keys.gt(queries.sub(window))) : visible;
    }
}
