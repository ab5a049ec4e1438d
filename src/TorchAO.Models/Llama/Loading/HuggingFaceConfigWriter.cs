using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp;

namespace TorchAO.Models.Llama.Loading;

/// <summary>Writes the shape of a model as the <c>config.json</c> that <see cref="HuggingFaceConfig"/> reads.</summary>
internal static class HuggingFaceConfigWriter
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes a config.</summary>
    /// <param name="config">The shape.</param>
    /// <param name="isQuantized">Whether the weights beside it are a quantized checkpoint of this library.</param>
    /// <returns>The text of the file.</returns>
    /// <exception cref="ArgumentException">The family does not have what the config asks for.</exception>
    public static string Write(LlamaConfig config, bool isQuantized)
    {
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(Architecture(config.ModelType)),
            ["model_type"] = config.ModelType,
            ["hidden_act"] = "silu",
            ["hidden_size"] = config.HiddenSize,
            ["intermediate_size"] = config.IntermediateSize,
            ["num_hidden_layers"] = config.Layers,
            ["num_attention_heads"] = config.Heads,
            ["num_key_value_heads"] = config.KeyValueHeads,
            ["head_dim"] = config.HeadSize,
            ["vocab_size"] = config.VocabSize,
            ["max_position_embeddings"] = config.MaxPositions,
            ["rms_norm_eps"] = config.NormEpsilon,
            ["rope_theta"] = config.RopeTheta,
            ["tie_word_embeddings"] = config.IsTied,
            ["attention_bias"] = config.HasOutputBias,
            ["mlp_bias"] = config.HasMlpBias,
            ["torch_dtype"] = Name(config.DType),
        };
        AddOptional(json, config);
        if (isQuantized)
        {
            json["quantization_config"] = new JsonObject { ["quant_method"] = HuggingFaceConfig.QuantizationMethod };
        }

        RequireReadable(config, json);
        return json.ToJsonString(Indented) + "\n";
    }

    private static void AddOptional(JsonObject json, LlamaConfig config)
    {
        if (config.RopeScaling is { } scaling)
        {
            json["rope_scaling"] = Scaling(scaling);
        }

        if (config.SlidingWindow is { } window)
        {
            json["sliding_window"] = window;
            if (config.ModelType != "mistral")
            {
                json["use_sliding_window"] = true;
                json["max_window_layers"] = 0;
            }
        }

        if (config.BosTokenId is { } bos)
        {
            json["bos_token_id"] = bos;
        }

        if (config.EosTokenIds.Count > 0)
        {
            json["eos_token_id"] = config.EosTokenIds.Count == 1
                ? config.EosTokenIds[0]
                : new JsonArray([.. config.EosTokenIds.Select(id => JsonValue.Create(id))]);
        }
    }

    private static string Architecture(string family) => family switch
    {
        "llama" => "LlamaForCausalLM",
        "mistral" => "MistralForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        _ => throw new ArgumentException($"family '{family}', expected llama, mistral, qwen2 or qwen3.", nameof(family)),
    };

    private static JsonObject Scaling(RopeScaling scaling) => scaling switch
    {
        LinearRopeScaling linear => new() { ["rope_type"] = "linear", ["factor"] = linear.Factor },
        Llama3RopeScaling llama3 => new()
        {
            ["rope_type"] = "llama3",
            ["factor"] = llama3.Factor,
            ["low_freq_factor"] = llama3.LowFrequencyFactor,
            ["high_freq_factor"] = llama3.HighFrequencyFactor,
            ["original_max_position_embeddings"] = llama3.OriginalMaxPositions,
        },
        _ => throw new ArgumentException($"a scaling of class {scaling.GetType().Name} has no name in config.json.", nameof(scaling)),
    };

    private static string Name(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Float32 => "float32",
        torch.ScalarType.BFloat16 => "bfloat16",
        torch.ScalarType.Float16 => "float16",
        _ => throw new ArgumentException($"weights in {type}, expected Float32, BFloat16 or Float16; convert the model.", nameof(type)),
    };

    // A family fixes some features, which its config.json cannot say: better no file than one of another model.
    private static void RequireReadable(LlamaConfig config, JsonObject json)
    {
        LlamaConfig read = HuggingFaceConfig.Read(JsonFields.Of(json, "config.json"));
        if (read with { EosTokenIds = config.EosTokenIds } != config || !read.EosTokenIds.SequenceEqual(config.EosTokenIds))
        {
            throw new ArgumentException(
                $"config.json of the family '{config.ModelType}' cannot say what the model is: got {config}, it would be read as " +
                $"{read}. Choose the family that has these features.", nameof(config));
        }
    }
}
