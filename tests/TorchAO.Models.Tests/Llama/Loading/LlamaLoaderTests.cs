using TorchAO.Checkpoints;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Tests;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama.Loading;

public sealed class LlamaLoaderTests
{
    private static readonly string Stories = RepositoryFiles.Path("assets/stories260k");

    [Fact]
    public void Both_layouts_of_a_model_give_the_same_logits()
    {
        using LlamaForCausalLM converted = LlamaLoader.Load(Stories);
        using LlamaForCausalLM original = LlamaLoader.Load(Path.Combine(Stories, "stories260K.bin"));
        using Tensor ids = tensor([1L, 403, 407, 261], [1, 4]);
        using IDisposable noGradient = no_grad();
        using Tensor expected = converted.forward(ids);
        using Tensor got = original.forward(ids);
        Assert.True(expected.bytes.SequenceEqual(got.bytes));
        Assert.False(converted.training);
    }

    [Fact]
    public void Weights_become_the_type_that_is_asked_for()
    {
        using LlamaForCausalLM model = LlamaLoader.Load(Stories, ScalarType.BFloat16);
        Assert.All(model.parameters(), parameter => Assert.Equal(ScalarType.BFloat16, parameter.dtype));
        Assert.Equal(ScalarType.BFloat16, model.DType);
    }

    [Fact]
    public void A_model_that_is_disposed_gives_its_memory_back()
    {
        const int Cycles = 60;
        string model = RepositoryFiles.Path("assets/babyllama105"); // 3.7 MB of weights
        LlamaLoader.Load(model).Dispose();
        long before = Environment.WorkingSet;
        for (int i = 0; i < Cycles; i++)
        {
            LlamaLoader.Load(model).Dispose();
        }

        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 40_000_000);
    }

    [Fact]
    public void A_folder_without_a_config_says_which_file_is_missing()
    {
        using var folder = new TemporaryFolder();
        CheckpointException error = Assert.Throws<CheckpointException>(() => LlamaLoader.Load(folder.Path));
        Assert.Equal(CheckpointError.MissingFile, error.Error);
        Assert.Contains("no config.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_is_not_there_is_named()
    {
        CheckpointException error = Assert.Throws<CheckpointException>(() => LlamaLoader.Load("/nowhere/llama"));
        Assert.Contains("/nowhere/llama", error.Message, StringComparison.Ordinal);
        Assert.Contains("no such file or folder", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_file_of_a_folder_is_told_to_be_one()
    {
        CheckpointException error = Assert.Throws<CheckpointException>(() => LlamaLoader.Load(Path.Combine(Stories, "model.safetensors")));
        Assert.Contains("one file is not a whole model: got a file; expected a folder with config.json", error.Message, StringComparison.Ordinal);
        Assert.Contains($"Give the folder of the file, {Stories}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"num_hidden_layers\": 5", "\"num_hidden_layers\": 6", CheckpointError.TensorNotFound, "model.layers.5.")]
    [InlineData("\"num_hidden_layers\": 5", "\"num_hidden_layers\": 4", CheckpointError.UnexpectedTensor, "model.layers.4.")]
    [InlineData("\"intermediate_size\": 172", "\"intermediate_size\": 176", CheckpointError.ShapeMismatch, "[176, 64]")]
    [InlineData("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", CheckpointError.TensorNotFound, "lm_head.weight")]
    [InlineData("\"model_type\": \"llama\"", "\"model_type\": \"qwen2\"", CheckpointError.TensorNotFound, "q_proj.bias")]
    public void A_config_of_another_model_is_refused(string from, string to, CheckpointError error, string said)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(Stories, "model.safetensors"), folder.File("model.safetensors"));
        string config = File.ReadAllText(Path.Combine(Stories, "config.json"));
        Assert.Contains(from, config, StringComparison.Ordinal);
        File.WriteAllText(folder.File("config.json"), config.Replace(from, to, StringComparison.Ordinal));

        CheckpointException lie = Assert.Throws<CheckpointException>(() => LlamaLoader.Load(folder.Path));

        Assert.Equal(error, lie.Error);
        Assert.Contains(said, lie.Message, StringComparison.Ordinal);
    }
}
