using System.Text.Json.Nodes;
using TorchAO.Checkpoints;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchSharp;
using Xunit;

namespace TorchAO.Models.Tests.Llama.Loading;

public sealed class HuggingFaceConfigTests
{
    private const string Llama31 =
        """
        {
          "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": false, "mlp_bias": false,
          "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
          "intermediate_size": 14336, "max_position_embeddings": 131072, "num_attention_heads": 32, "num_hidden_layers": 32,
          "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": false,
          "torch_dtype": "bfloat16", "vocab_size": 128256,
          "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"}
        }
        """;

    private const string Mistral =
        """
        {
          "model_type": "mistral", "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096,
          "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32,
          "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
          "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 32000
        }
        """;

    private const string Qwen2 =
        """
        {
          "model_type": "qwen2", "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 896,
          "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 21, "num_attention_heads": 14,
          "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
          "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_sliding_window": false,
          "vocab_size": 151936
        }
        """;

    private const string Qwen3 =
        """
        {
          "model_type": "qwen3", "attention_bias": false, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
          "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "num_attention_heads": 16,
          "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null,
          "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
          "use_sliding_window": false, "vocab_size": 151936, "bos_token_id": 151643, "eos_token_id": 151645
        }
        """;

    [Fact]
    public void Llama_3_1_is_read_with_its_stretched_rotation()
    {
        LlamaConfig config = Read(Llama31);
        Assert.Equal(new Llama3RopeScaling(8, 1, 4, 8192), config.RopeScaling);
        Assert.Equal([128001, 128008, 128009], config.EosTokenIds);
        Assert.Equal((4096, 14336, 32, 8, 128), Shape(config));
        Assert.Equal(torch.ScalarType.BFloat16, config.DType);
        Assert.Equal((128000, 500_000.0, 1e-5), (config.BosTokenId, config.RopeTheta, config.NormEpsilon));
        Assert.False(config.IsTied || config.HasQueryKeyNorm || config.HasQueryKeyValueBias || config.HasOutputBias);
    }

    [Fact]
    public void Mistral_is_read_with_its_window()
    {
        LlamaConfig config = Read(Mistral);
        Assert.Equal(4096, config.SlidingWindow);
        Assert.Equal([2], config.EosTokenIds);
    }

    [Fact]
    public void Qwen2_has_biases_and_leaves_its_window_unused()
    {
        LlamaConfig config = Read(Qwen2);
        Assert.True(config.HasQueryKeyValueBias && !config.HasOutputBias && config.IsTied);
        Assert.Null(config.SlidingWindow);
        Assert.Equal((896, 4864, 14, 2, 64), Shape(config));
    }

    [Fact]
    public void Qwen3_has_norms_and_heads_wider_than_the_stream()
    {
        LlamaConfig config = Read(Qwen3);
        Assert.True(config.HasQueryKeyNorm && !config.HasQueryKeyValueBias);
        Assert.Equal((1024, 3072, 16, 8, 128), Shape(config));
    }

    [Fact]
    public void Newer_exports_gather_the_rotation_in_one_object()
    {
        LlamaConfig config = Read(Mistral, json =>
        {
            json.Remove("rope_theta");
            json["rope_parameters"] = new JsonObject { ["rope_theta"] = 2e6, ["rope_type"] = "linear", ["factor"] = 2.0 };
        });
        Assert.Equal((2e6, new LinearRopeScaling(2)), (config.RopeTheta, config.RopeScaling));
    }

    [Theory]
    [InlineData("model_type", "\"gpt2\"", CheckpointError.UnsupportedModel, "qwen3")]
    [InlineData("hidden_act", "\"gelu\"", CheckpointError.UnsupportedModel, "silu")]
    [InlineData("torch_dtype", "\"int8\"", CheckpointError.UnsupportedModel, "bfloat16")]
    [InlineData("quantization_config", "{\"bits\": 4}", CheckpointError.UnsupportedModel, "float model")]
    [InlineData("rope_scaling", "{\"rope_type\": \"yarn\"}", CheckpointError.UnsupportedModel, "llama3")]
    [InlineData("rope_scaling", "{\"rope_type\": \"linear\"}", CheckpointError.MissingField, "factor")]
    [InlineData("rope_scaling", "7", CheckpointError.InvalidField, "an object")]
    [InlineData("hidden_size", "-1", CheckpointError.InvalidField, "positive")]
    [InlineData("hidden_size", "4096.5", CheckpointError.InvalidField, "4096.5")]
    [InlineData("hidden_size", "\"4096\"", CheckpointError.InvalidField, "positive")]
    [InlineData("vocab_size", "null", CheckpointError.MissingField, "vocab_size")]
    [InlineData("num_key_value_heads", "3", CheckpointError.InvalidField, "multiple")]
    [InlineData("head_dim", "5", CheckpointError.InvalidField, "even")]
    [InlineData("tie_word_embeddings", "1", CheckpointError.InvalidField, "true or false")]
    [InlineData("eos_token_id", "[-1]", CheckpointError.InvalidField, "token ids")]
    public void A_wrong_field_is_named_with_what_is_expected(string field, string value, CheckpointError error, string said)
    {
        CheckpointException lie = Assert.Throws<CheckpointException>(
            () => Read(Mistral, json => json[field] = JsonNode.Parse(value)));
        Assert.Equal(error, lie.Error);
        Assert.Contains("config.json", lie.Message, StringComparison.Ordinal);
        Assert.Contains(said, lie.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", CheckpointError.InvalidJson)]
    [InlineData("[]", CheckpointError.InvalidField)]
    [InlineData("{\"a\": 1, \"a\": 2}", CheckpointError.InvalidJson)]
    public void A_text_that_is_no_object_is_refused(string text, CheckpointError error) =>
        Assert.Equal(error, Assert.Throws<CheckpointException>(() => Read(text)).Error);

    private static (int Hidden, int Inner, int Heads, int KeyValueHeads, int Size) Shape(LlamaConfig config) =>
        (config.HiddenSize, config.IntermediateSize, config.Heads, config.KeyValueHeads, config.HeadSize);

    private static LlamaConfig Read(string text, Action<JsonObject>? change = null)
    {
        if (change is not null)
        {
            JsonObject json = JsonNode.Parse(text)!.AsObject();
            change(json);
            text = json.ToJsonString();
        }

        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), text);
        return LlamaLoader.ReadConfig(folder.Path);
    }
}
