using TorchAO.Models.Llama;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama;

/// <summary>Random models of every family, small enough for the oracle.</summary>
internal static class SmallLlamas
{
    public static LlamaConfig Config { get; } = new()
    {
        VocabSize = 37,
        HiddenSize = 24,
        IntermediateSize = 40,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        HeadSize = 6,
        MaxPositions = 64,
        BosTokenId = 1,
        EosTokenIds = [2],
    };

    public static TheoryData<string> Families { get; } =
        ["llama2", "llama3", "linear", "mistral", "qwen2", "qwen3", "tied", "multi-head", "biased"];

    public static LlamaConfig Family(string name) => name switch
    {
        "llama2" => Config,
        "llama3" => Config with { RopeTheta = 500_000, RopeScaling = new Llama3RopeScaling(8, 1, 4, 16) },
        "linear" => Config with { RopeScaling = new LinearRopeScaling(4) },
        "mistral" => Config with { SlidingWindow = 5 },
        "qwen2" => Config with { HasQueryKeyValueBias = true },
        "qwen3" => Config with { HasQueryKeyNorm = true, HeadSize = 8 },
        "tied" => Config with { IsTied = true },
        "multi-head" => Config with { KeyValueHeads = 4 },
        "biased" => Config with { HasQueryKeyValueBias = true, HasOutputBias = true, HasMlpBias = true },
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };

    /// <summary>Makes a model whose every parameter, norms and biases too, is random. The caller disposes it.</summary>
    public static LlamaForCausalLM Create(LlamaConfig config, long seed = 7)
    {
        var model = new LlamaForCausalLM(config);
        using Generator generator = new((ulong)seed, CPU);
        using IDisposable noGradient = no_grad();
        foreach (Parameter parameter in model.parameters())
        {
            using Tensor noise = randn(parameter.shape, generator: generator);
            using Tensor scaled = parameter.Dimensions == 1 ? noise.mul(0.3).add(1) : noise.mul(0.25);
            parameter.copy_(scaled);
        }

        model.eval();
        return model;
    }

    /// <summary>Makes ids <c>[1, count]</c>. The caller disposes them.</summary>
    public static Tensor Ids(int count, int seed = 3)
    {
        var random = new Random(seed);
        return tensor([.. Enumerable.Range(0, count).Select(_ => (long)random.Next(Config.VocabSize))], [1, count]);
    }
}
