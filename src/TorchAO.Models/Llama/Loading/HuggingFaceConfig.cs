using TorchSharp;

namespace TorchAO.Models.Llama.Loading;

/// <summary>Reads the shape of a model from the <c>config.json</c> of a Hugging Face folder.</summary>
internal static class HuggingFaceConfig
{
    /// <summary>What <c>quantization_config</c> names where this library wrote the folder; other programs then know that they cannot
    /// read the weights.</summary>
    public const string QuantizationMethod = "torchao-dotnet";

    private const string Families = "llama, mistral, qwen2 or qwen3";

    /// <summary>Reads a file.</summary>
    /// <exception cref="Checkpoints.CheckpointException">A field is missing, of the wrong kind, contradicts another, or asks for
    /// what this model does not do.</exception>
    public static LlamaConfig Read(string path) => Read(JsonFields.Read(path));

    /// <summary>Reads the fields of a file.</summary>
    /// <exception cref="Checkpoints.CheckpointException">As <see cref="Read(string)"/>.</exception>
    public static LlamaConfig Read(JsonFields json)
    {
        string family = Family(json);
        RejectWhatIsNotDone(json);
        int heads = json.Count("num_attention_heads");
        int hidden = json.Count("hidden_size");
        bool hasBias = json.Flag("attention_bias", false);
        IReadOnlyList<int> bos = json.Ids("bos_token_id");
        var config = new LlamaConfig
        {
            ModelType = family,
            VocabSize = json.Count("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = json.Count("intermediate_size"),
            Layers = json.Count("num_hidden_layers"),
            Heads = heads,
            KeyValueHeads = json.Count("num_key_value_heads", heads),
            HeadSize = json.Count("head_dim", Math.Max(1, hidden / heads)),
            MaxPositions = json.Count("max_position_embeddings"),
            NormEpsilon = json.Number("rms_norm_eps", 1e-6),
            RopeTheta = Theta(json),
            RopeScaling = Scaling(json),
            SlidingWindow = Window(json, family),
            IsTied = json.Flag("tie_word_embeddings", false),
            HasQueryKeyValueBias = family == "qwen2" || hasBias,
            HasOutputBias = family != "qwen2" && hasBias,
            HasMlpBias = json.Flag("mlp_bias", false),
            HasQueryKeyNorm = family == "qwen3",
            BosTokenId = bos.Count > 0 ? bos[0] : null,
            EosTokenIds = json.Ids("eos_token_id"),
            DType = DType(json),
        };
        Verify(json, config);
        return config;
    }

    private static string Family(JsonFields json)
    {
        string family = json.Text("model_type", string.Empty);
        return family is "llama" or "mistral" or "qwen2" or "qwen3" ? family : throw json.Unsupported(
            "model_type", $"\"{family}\"", Families,
            "Load another model, or write its modules and quantize them with model.Quantize.");
    }

    private static void RejectWhatIsNotDone(JsonFields json)
    {
        if (json.Object("quantization_config") is { } quantization
            && quantization.Text("quant_method", string.Empty) != QuantizationMethod)
        {
            throw json.Unsupported(
                "quantization_config", "a model that another tool has quantized", "float weights, or a folder of LlamaSaver",
                "Load the float model it was made from, and quantize that.");
        }

        if (json.Text("hidden_act", "silu") is string activation && activation is not ("silu" or "swish"))
        {
            throw json.Unsupported("hidden_act", $"\"{activation}\"", "silu", "Load another model.");
        }
    }

    // Newer exports gather all rotary facts in one object.
    private static JsonFields? Rotary(JsonFields json) => json.Object("rope_parameters") ?? json.Object("rope_scaling");

    private static double Theta(JsonFields json) =>
        json.Object("rope_parameters") is JsonFields rotary && rotary.Has("rope_theta")
            ? rotary.Number("rope_theta") : json.Number("rope_theta", 10_000);

    private static RopeScaling? Scaling(JsonFields json)
    {
        if (Rotary(json) is not JsonFields rotary)
        {
            return null;
        }

        string kind = rotary.Text("rope_type", rotary.Text("type", "default"));
        return kind switch
        {
            "default" => null,
            "linear" => new LinearRopeScaling(rotary.Number("factor")),
            "llama3" => Llama3(rotary),
            _ => throw rotary.Unsupported("rope_type", $"\"{kind}\"", "default, linear or llama3", "Load another model."),
        };
    }

    private static Llama3RopeScaling Llama3(JsonFields rotary)
    {
        var scaling = new Llama3RopeScaling(
            rotary.Number("factor"), rotary.Number("low_freq_factor"), rotary.Number("high_freq_factor"),
            rotary.Number("original_max_position_embeddings"));
        return scaling.LowFrequencyFactor < scaling.HighFrequencyFactor ? scaling : throw rotary.Contradiction(
            "the band between slow and fast frequencies is empty",
            $"low_freq_factor {scaling.LowFrequencyFactor}, high_freq_factor {scaling.HighFrequencyFactor}", "low below high");
    }

    // Qwen names a window that it does not use unless it says so; Mistral uses the one it names.
    private static int? Window(JsonFields json, string family)
    {
        bool isUsed = family switch
        {
            "mistral" => json.Has("sliding_window"),
            "llama" => false,
            _ => json.Flag("use_sliding_window", false),
        };
        if (!isUsed)
        {
            return null;
        }

        int firstWindowed = family == "mistral" ? 0 : json.CountOrZero("max_window_layers", 28);
        int layers = json.Count("num_hidden_layers");
        return firstWindowed == 0 ? json.Count("sliding_window") : firstWindowed >= layers ? null : throw json.Unsupported(
            "max_window_layers", $"{firstWindowed} of {layers} layers without a window", "a window in all layers or in none",
            "Load another model, or set use_sliding_window to false for texts shorter than the window.");
    }

    private static torch.ScalarType DType(JsonFields json)
    {
        string name = json.Text("torch_dtype", json.Text("dtype", "float32"));
        return name switch
        {
            "float32" => torch.ScalarType.Float32,
            "bfloat16" => torch.ScalarType.BFloat16,
            "float16" => torch.ScalarType.Float16,
            _ => throw json.Unsupported("torch_dtype", $"\"{name}\"", "float32, bfloat16 or float16", "Convert the model."),
        };
    }

    private static void Verify(JsonFields json, LlamaConfig config)
    {
        if (config.Heads % config.KeyValueHeads != 0)
        {
            throw json.Contradiction(
                "query heads cannot share key heads evenly", $"{config.Heads} and {config.KeyValueHeads}",
                "num_attention_heads as a multiple of num_key_value_heads");
        }

        if (config.HeadSize % 2 != 0)
        {
            throw json.Contradiction(
                "rotary positions need pairs of features", $"a head of {config.HeadSize}", "an even head_dim");
        }
    }
}
