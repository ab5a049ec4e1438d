using System.Text.Json.Nodes;
using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Tests;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama.Loading;

/// <summary>From a folder with float weights to a quantized folder, and back into a model.</summary>
public sealed class LlamaSaverTests : IDisposable
{
    private static readonly string Stories = RepositoryFiles.Path("assets/stories260k");

    private static readonly ModuleRules Rules = new()
    {
        ["*down_proj"] = new Int8WeightOnlyConfig(),
        ["*"] = new Int4WeightOnlyConfig { GroupSize = 32 },
    };

    private readonly TemporaryFolder folder = new();

    private string Target => folder.File("quantized");

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData("stories260K.bin")]
    public void A_folder_quantized_from_disk_comes_back_bit_for_bit(string file)
    {
        string source = file.Length == 0 ? Stories : Path.Combine(Stories, file);
        using Tensor ids = Ids();
        (LlamaForCausalLM model, QuantizeReport report) = LlamaLoader.LoadAndQuantize(source, Rules);
        using (model)
        {
            LlamaSaver.Save(model, Target, source, ids);
            using LlamaForCausalLM loaded = LlamaLoader.Load(Target);

            Assert.Equal(35, report.Changed.Count());
            AssertSame(model, loaded, ids);
            Assert.False(loaded.training);
            Assert.Equal(
                ["LICENSE", "config.json", "model.safetensors", "tok512.bin", "tok512.model"],
                Directory.GetFiles(Target).Select(Path.GetFileName).Order(StringComparer.Ordinal));
            Assert.Equal([Target], Directory.GetFileSystemEntries(folder.Path));
        }
    }

    [Fact]
    public void Quantizing_while_loading_gives_what_quantizing_afterwards_gives()
    {
        using Tensor ids = Ids();
        using LlamaForCausalLM expected = LlamaLoader.Load(Stories);
        QuantizeReport report = expected.Quantize(Rules);
        (LlamaForCausalLM got, QuantizeReport streamed) = LlamaLoader.LoadAndQuantize(Stories, Rules);
        using (got)
        {
            Assert.Equal(report.Layers, streamed.Layers);
            AssertSame(expected, got, ids);
        }
    }

    [Fact]
    public void Shards_give_the_model_of_one_file()
    {
        Shard(folder.Path, 3);
        using Tensor ids = Ids();
        using LlamaForCausalLM expected = LlamaLoader.Load(Stories);
        using LlamaForCausalLM got = LlamaLoader.Load(folder.Path);
        AssertSame(expected, got, ids);

        File.Delete(folder.File("part-1"));
        CheckpointException error = Assert.Throws<CheckpointException>(() => LlamaLoader.Load(folder.Path));
        Assert.Equal(CheckpointError.MissingShard, error.Error);
    }

    [Fact]
    public void A_quantized_folder_opens_in_another_type()
    {
        Save(ScalarType.BFloat16);
        using LlamaForCausalLM model = LlamaLoader.Load(Target);
        Assert.Equal(ScalarType.BFloat16, model.DType);
        using LlamaForCausalLM wide = LlamaLoader.Load(Target, ScalarType.Float32);
        Assert.Equal(ScalarType.Float32, wide.DType);
        using Tensor ids = Ids();
        using IDisposable noGradient = no_grad();
        using Tensor a = model.forward(ids), b = wide.forward(ids);
        Assert.True(a.allclose(b, 0.1, 0.3));
    }

    [Fact]
    public void A_folder_that_is_quantized_is_not_quantized_again()
    {
        Save();
        CheckpointException error = Assert.Throws<CheckpointException>(() => LlamaLoader.LoadAndQuantize(Target, Rules));
        Assert.Equal(CheckpointError.UnsupportedModel, error.Error);
        Assert.Contains("quantized already", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_holds_something_is_not_touched()
    {
        Directory.CreateDirectory(Target);
        File.WriteAllText(Path.Combine(Target, "note"), "mine");
        IOException error = Assert.Throws<IOException>(() => Save());
        Assert.Contains("is not empty, expected a folder that is absent or empty", error.Message, StringComparison.Ordinal);
        Assert.Equal(["note"], Directory.GetFiles(Target).Select(Path.GetFileName));
    }

    [Fact]
    public void A_place_that_is_not_there_is_told_by_the_path_that_was_given()
    {
        using LlamaForCausalLM model = LlamaLoader.Load(Stories);
        string missing = folder.File("no/such");
        string message = Assert.Throws<DirectoryNotFoundException>(() => LlamaSaver.Save(model, missing, Stories)).Message;
        Assert.StartsWith($"{missing}: there is no folder {folder.File("no")}", message, StringComparison.Ordinal);
        Assert.DoesNotContain("partial", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failed_save_leaves_nothing_and_a_dead_one_is_replaced()
    {
        using (LlamaForCausalLM model = LlamaLoader.Load(Stories))
        {
            Assert.Throws<QuantizationException>(() => LlamaSaver.Save(model, Target, Stories)); // not quantized
        }

        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
        Directory.CreateDirectory(folder.File(".quantized.partial"));
        File.WriteAllText(folder.File(".quantized.partial/old"), "left by a killed process");
        Save();
        Assert.Equal([Target], Directory.GetFileSystemEntries(folder.Path));
        Assert.False(File.Exists(Path.Combine(Target, "old")));
    }

    [Fact]
    public void Two_savers_of_one_folder_do_not_mix()
    {
        using FileStream other = new(folder.File(".quantized.partial.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        Assert.Contains("another process writes this folder", Assert.Throws<IOException>(() => Save()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_config_of_another_model_is_refused()
    {
        Save();
        string config = Path.Combine(Target, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"num_hidden_layers\": 5", "\"num_hidden_layers\": 4", StringComparison.Ordinal));
        CheckpointException error = Assert.Throws<CheckpointException>(() => LlamaLoader.Load(Target));
        Assert.Equal(CheckpointError.UnexpectedTensor, error.Error);
        Assert.Contains("model.layers.4.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_programs_are_told_that_the_weights_are_not_for_them()
    {
        Save();
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(Target, "config.json")))!;
        Assert.Equal("torchao-dotnet", config["quantization_config"]!["quant_method"]!.GetValue<string>());
    }

    private static Tensor Ids() => tensor([1L, 403, 407, 261], [1, 4]);

    private static void AssertSame(LlamaForCausalLM expected, LlamaForCausalLM got, Tensor ids)
    {
        using IDisposable noGradient = no_grad();
        using Tensor a = expected.forward(ids), b = got.forward(ids);
        Assert.True(a.bytes.SequenceEqual(b.bytes));
    }

    private static void Shard(string target, int shards)
    {
        File.Copy(Path.Combine(Stories, "config.json"), Path.Combine(target, "config.json"));
        using ITensorSource source = LlamaLoader.OpenWeights(Stories);
        var map = new JsonObject();
        foreach ((int shard, TensorInfo[] tensors) in source.Tensors.Chunk((source.Tensors.Count / shards) + 1).Index())
        {
            using var writer = new SafetensorsWriter(Path.Combine(target, $"part-{shard}"), tensors);
            foreach (TensorInfo info in tensors)
            {
                using Tensor tensor = source.Read(info.Name);
                writer.Write(info.Name, tensor);
                map[info.Name] = $"part-{shard}";
            }

            writer.Commit();
        }

        File.WriteAllText(
            Path.Combine(target, ShardedSafetensors.IndexName), new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    private void Save(ScalarType? dtype = null)
    {
        (LlamaForCausalLM model, _) = LlamaLoader.LoadAndQuantize(Stories, Rules, dtype);
        using (model)
        using (Tensor ids = Ids())
        {
            LlamaSaver.Save(model, Target, Stories, ids);
        }
    }
}
