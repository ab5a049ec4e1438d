using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama.Loading;

public sealed class HuggingFaceConfigWriterTests
{
    public static TheoryData<string> Names => ["llama", "llama3", "linear", "mistral", "window", "qwen2", "qwen3", "tied", "biased", "ends", "bf16"];

    [Theory]
    [MemberData(nameof(Names))]
    public void What_is_written_is_read_back(string name)
    {
        LlamaConfig config = Config(name);
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), HuggingFaceConfigWriter.Write(config, isQuantized: true));
        LlamaConfig read = LlamaLoader.ReadConfig(folder.Path);

        Assert.Equal(config.EosTokenIds, read.EosTokenIds);
        Assert.Equal(config, read with { EosTokenIds = config.EosTokenIds });
    }

    [Fact]
    public void Features_that_the_family_does_not_have_are_refused()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(
            () => HuggingFaceConfigWriter.Write(SmallLlamas.Config with { HasQueryKeyNorm = true }, isQuantized: true));
        Assert.Contains("the family 'llama' cannot say what the model is", error.Message, StringComparison.Ordinal);
    }

    private static LlamaConfig Config(string name)
    {
        LlamaConfig plain = SmallLlamas.Config with { NormEpsilon = 1e-6 };
        return name switch
        {
            "llama" => plain,
            "llama3" or "linear" or "tied" or "biased" => SmallLlamas.Family(name),
            "mistral" => plain with { ModelType = "mistral" },
            "window" => plain with { ModelType = "mistral", SlidingWindow = 5 },
            "qwen2" => plain with { ModelType = "qwen2", HasQueryKeyValueBias = true, SlidingWindow = 7 },
            "qwen3" => plain with { ModelType = "qwen3", HasQueryKeyNorm = true, HeadSize = 8 },
            "ends" => plain with { EosTokenIds = [2, 5], BosTokenId = null },
            "bf16" => plain with { DType = ScalarType.BFloat16 },
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
        };
    }
}
