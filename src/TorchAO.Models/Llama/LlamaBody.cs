using TorchAO.Models.Llama.Cuda;
using TorchAO.Modules;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>Embedding, layers and last norm.</summary>
internal sealed class LlamaBody : nn.Module
{
    private readonly LlamaConfig config;
    private readonly RotaryEmbedding rotary;
    private readonly nn.Module<Tensor, Tensor> embed_tokens; // a place that admits a quantized table
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

    /// <summary>Gets the device of the embedding table.</summary>
    public Device TableDevice => embed_tokens is QuantizedEmbedding table ? table.Weight.Device : FloatTable.device;

    /// <summary>Gets the type of the rows of the embedding table.</summary>
    public ScalarType TableDType => embed_tokens is QuantizedEmbedding table ? table.Weight.DType : FloatTable.dtype;

    /// <summary>Gets the bytes of the embedding table.</summary>
    public long TableBytes => embed_tokens is QuantizedEmbedding table
        ? table.Weight.Bytes
        : FloatTable.numel() * FloatTable.element_size();

    private Parameter FloatTable => ((Embedding)embed_tokens).weight!;

    /// <summary>Multiplies hidden states by the embedding table, the head of a tied model.</summary>
    /// <param name="hidden">Hidden states <c>[…, hidden]</c>.</param>
    /// <returns>Logits <c>[…, vocabulary]</c>. The caller disposes them.</returns>
    public Tensor Head(Tensor hidden) => embed_tokens is QuantizedEmbedding table
        ? table.Project(hidden)
        : nn.functional.linear(hidden, FloatTable);

    /// <summary>Gets whether somebody waits for a module to be called whose work a decode step does without.</summary>
    public bool HasHooks => norm.HasHooks || layers.Any(layer => layer.HasHooks);

    /// <summary>Gets the layers in the order of <see cref="Record"/>, a head of its own behind them.</summary>
    public IEnumerable<object> Layers(object? head) => [embed_tokens, .. layers.SelectMany(layer => layer.Layers), head ?? embed_tokens];

    /// <summary>Adds a whole step to a decode graph: from tokens to scores.</summary>
    /// <param name="recorder">The graph.</param>
    /// <param name="cache">The cache, on the model's device.</param>
    /// <param name="head">The head; <see langword="null"/> where it is the table.</param>
    public void Record(DecodeRecorder recorder, KeyValueCache cache, object? head)
    {
        (Tensor cosine, Tensor sine) = rotary.At(0, config.MaxPositions, cache.Device);
        recorder.Embed(embed_tokens);
        for (int i = 0; i < layers.Count; i++)
        {
            layers[i].Record(recorder, (cosine, sine), i, cache);
        }

        recorder.Multiply([head ?? embed_tokens], recorder.Buffers.Hidden, recorder.Buffers.Logits, norm: norm);
    }

    /// <summary>Computes the hidden states <c>[B, T, hidden]</c> of ids <c>[B, T]</c>. The caller disposes them.</summary>
    public Tensor Forward(Tensor ids, KeyValueCache? cache)
    {
        using DisposeScope scope = NewDisposeScope();
        int past = cache?.Length ?? 0;
        long count = ids.size(1);
        (Tensor cosine, Tensor sine) = rotary.At(past, count, ids.device);
        var step = new AttentionStep(cosine, sine, past);
        Tensor hidden = embed_tokens.call(ids);
        for (int i = 0; i < layers.Count; i++)
        {
            Tensor next = layers[i].Forward(hidden, step, i, cache);
            hidden.Dispose();
            hidden = next;
        }

        return norm.call(hidden).MoveToOuterDisposeScope();
    }

    /// <summary>Computes the same on the CPU without tensor operators but those of the embedding and of the linear layers.</summary>
    /// <param name="ids">A few ids <c>[B, T]</c>.</param>
    /// <param name="cache">What the model has seen.</param>
    /// <param name="lastOnly">Whether only the last token's states are wanted.</param>
    /// <returns>Hidden states <c>[B, T or 1, hidden]</c>. The caller disposes them.</returns>
    public Tensor Decode(Tensor ids, KeyValueCache cache, bool lastOnly)
    {
        using DisposeScope scope = NewDisposeScope();
        int count = checked((int)ids.size(1));
        (Tensor cosine, Tensor sine) = rotary.At(cache.Length, count, ids.device);
        var step = new AttentionStep(cosine, sine, cache.Length);
        DecodeBuffers buffers = cache.Buffers(count);
        Tensor rows = FloatValues.Contiguous(embed_tokens.call(ids));
        FloatValues.Of(rows, buffers.First(config.HiddenSize)).CopyTo(buffers.Residual);
        Tensor? added = null;
        for (int i = 0; i < layers.Count; i++)
        {
            Tensor next = layers[i].Decode(buffers, added, step, i, cache);
            added?.Dispose();
            added = next;
        }

        // A copy, since the buffers are written again by the next step.
        buffers.Normalize(norm, added);
        Tensor hidden = buffers.Hidden.Seal();
        return (lastOnly ? hidden.narrow(1, count - 1, 1) : hidden).clone().MoveToOuterDisposeScope();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            rotary.Dispose();
        }

        base.Dispose(disposing);
    }
}
