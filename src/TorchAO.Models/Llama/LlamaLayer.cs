using TorchAO.Models.Llama.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>One decoder layer: attention and feed-forward, each behind a norm and beside a residual.</summary>
internal sealed class LlamaLayer : nn.Module
{
    private readonly RmsNorm input_layernorm;
    private readonly LlamaAttention self_attn;
    private readonly RmsNorm post_attention_layernorm;
    private readonly LlamaMlp mlp;

    public LlamaLayer(LlamaConfig config, ScalarType dtype, Device? device)
        : base(nameof(LlamaLayer))
    {
        input_layernorm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dtype, device);
        self_attn = new LlamaAttention(config, dtype, device);
        post_attention_layernorm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dtype, device);
        mlp = new LlamaMlp(config, dtype, device);
        RegisterComponents();
    }

    /// <summary>Runs the layer on <c>[B, T, hidden]</c>. The caller disposes the result.</summary>
    public Tensor Forward(Tensor hidden, in AttentionStep step, int layer, KeyValueCache? cache)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor attended = hidden.add(self_attn.Forward(input_layernorm.call(hidden), step, layer, cache));
        return attended.add(mlp.call(post_attention_layernorm.call(attended))).MoveToOuterDisposeScope();
    }

    /// <summary>Gets whether somebody waits for a module to be called whose work a decode step does without.</summary>
    public bool HasHooks => input_layernorm.HasHooks || self_attn.HasHooks || post_attention_layernorm.HasHooks || mlp.HasHooks;

    /// <summary>Gets the layers in the order of <see cref="Record"/>.</summary>
    public IEnumerable<object> Layers => self_attn.Layers.Concat(mlp.Layers);

    /// <summary>Adds what the layer does to the residual stream to a decode graph.</summary>
    public void Record(DecodeRecorder recorder, (Tensor Cosine, Tensor Sine) rotary, int layer, KeyValueCache cache)
    {
        self_attn.Record(recorder, input_layernorm, rotary, layer, cache);
        mlp.Record(recorder, post_attention_layernorm);
    }

    /// <summary>Runs the layer on the residual stream of the buffers.</summary>
    /// <param name="buffers">The stream, and room for what is between.</param>
    /// <param name="added">What the layer before leaves to be added to the stream, <c>[B, T, hidden]</c>.</param>
    /// <param name="step">Positions.</param>
    /// <param name="layer">Which layer of the cache.</param>
    /// <param name="cache">The cache.</param>
    /// <returns>What is to be added to the stream. The caller disposes it.</returns>
    public Tensor Decode(DecodeBuffers buffers, Tensor? added, in AttentionStep step, int layer, KeyValueCache cache)
    {
        buffers.Normalize(input_layernorm, added);
        using Tensor attended = self_attn.Decode(buffers, step, layer, cache);
        buffers.Normalize(post_attention_layernorm, attended);
        return mlp.Decode(buffers);
    }
}
