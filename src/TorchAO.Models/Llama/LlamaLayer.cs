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
}
