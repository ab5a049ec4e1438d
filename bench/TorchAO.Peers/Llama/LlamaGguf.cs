using System.Runtime.InteropServices;
using TorchAO.Models.Llama;
using TorchAO.Peers.Ggml;
using TorchAO.Runtime.Memory;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Peers.Llama;

/// <summary>Writes a Llama model as a GGUF file without a tokenizer, all matrices in one type of ggml.</summary>
internal static class LlamaGguf
{
    private const int Block = 32;

    /// <summary>Writes the file.</summary>
    /// <param name="model">The model in float32.</param>
    /// <param name="type">The type of matrices; those whose rows no block divides are stored in float32, as are norms.</param>
    /// <param name="path">The file.</param>
    public static void Write(LlamaForCausalLM model, GgmlType type, string path)
    {
        LlamaConfig config = model.Config;
        var writer = new GgufWriter();
        writer.Add("general.architecture", "llama");
        writer.Add("llama.vocab_size", config.VocabSize);
        writer.Add("llama.context_length", config.MaxPositions);
        writer.Add("llama.embedding_length", config.HiddenSize);
        writer.Add("llama.block_count", config.Layers);
        writer.Add("llama.feed_forward_length", config.IntermediateSize);
        writer.Add("llama.rope.dimension_count", config.HeadSize);
        writer.Add("llama.attention.head_count", config.Heads);
        writer.Add("llama.attention.head_count_kv", config.KeyValueHeads);
        writer.Add("llama.attention.layer_norm_rms_epsilon", config.NormEpsilon);
        writer.Add("llama.rope.freq_base", config.RopeTheta);
        writer.Add("tokenizer.ggml.model", "no_vocab");
        foreach ((string name, Parameter parameter) in model.named_parameters())
        {
            Add(writer, name, parameter, type, config);
        }

        writer.Write(path);
    }

    private static void Add(GgufWriter writer, string name, Parameter parameter, GgmlType type, LlamaConfig config)
    {
        long[] shape = parameter.shape;
        GgmlType stored = shape.Length == 2 && shape[1] % Block == 0 ? type : GgmlType.F32;
        writer.Add(Rename(name), shape, stored, GgmlPeer.RowBytes(stored, shape[^1]) * (shape.Length == 2 ? shape[0] : 1), stream =>
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGradient = no_grad();
            int heads = name.Contains("q_proj", StringComparison.Ordinal) ? config.Heads
                : name.Contains("k_proj", StringComparison.Ordinal) ? config.KeyValueHeads : 0;
            Tensor rows = heads == 0 ? parameter : InterleaveHalves(parameter, heads);
            rows = rows.to(ScalarType.Float32).contiguous();
            stream.Write(stored == GgmlType.F32
                ? MemoryMarshal.AsBytes(TensorMemory.ReadOnlySpan<float>(rows))
                : GgmlPeer.Quantize(rows, stored));
        });
    }

    // Hugging Face rotates the halves of a head, ggml neighbours: row i of the first half stands before row i of the second.
    private static Tensor InterleaveHalves(Tensor weight, int heads) =>
        weight.view(heads, 2, -1, weight.size(1)).transpose(1, 2).reshape(weight.shape);

    private static string Rename(string name)
    {
        string[] parts = name.Split('.');
        return parts switch
        {
            ["model", "embed_tokens", "weight"] => "token_embd.weight",
            ["model", "norm", "weight"] => "output_norm.weight",
            ["lm_head", "weight"] => "output.weight",
            ["model", "layers", string layer, .. string[] rest] => $"blk.{layer}.{InLayer(string.Join('.', rest))}.weight",
            _ => throw new NotSupportedException($"{name}: a GGUF file of this architecture has no such tensor."),
        };
    }

    private static string InLayer(string name) => name switch
    {
        "input_layernorm.weight" => "attn_norm",
        "post_attention_layernorm.weight" => "ffn_norm",
        "self_attn.q_proj.weight" => "attn_q",
        "self_attn.k_proj.weight" => "attn_k",
        "self_attn.v_proj.weight" => "attn_v",
        "self_attn.o_proj.weight" => "attn_output",
        "mlp.gate_proj.weight" => "ffn_gate",
        "mlp.up_proj.weight" => "ffn_up",
        "mlp.down_proj.weight" => "ffn_down",
        _ => throw new NotSupportedException($"{name}: a GGUF file of this architecture has no such tensor in a layer."),
    };
}
