using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.KvCache;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Cuda;
using TorchAO.Runtime.Cuda;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama.Cuda;

/// <summary>Replayed steps on a GPU against the same model in float32 and against its modules.</summary>
public sealed class DecodeGraphTests
{
    private const int Length = 40;

    [CudaTheory]
    [MemberData(nameof(SmallLlamas.Families), MemberType = typeof(SmallLlamas))]
    public void Every_family_is_as_near_to_float32_as_by_modules(string family)
    {
        foreach (ScalarType type in (ScalarType[])[ScalarType.BFloat16, ScalarType.Float16])
        {
            (double graph, double modules) = Errors(Wide(family), type, null, KeyValueFormat.Float);
            Assert.InRange(graph, 1e-6, 1.25 * modules);
        }
    }

    [CudaTheory]
    [InlineData(KeyValueFormat.Int8)]
    [InlineData(KeyValueFormat.Float8)]
    [InlineData(KeyValueFormat.Int4)]
    public void Every_cache_is_as_near_to_float32_as_by_modules(KeyValueFormat format)
    {
        foreach (QuantizeConfig? weights in (QuantizeConfig?[])[null, new Int8WeightOnlyConfig()]) // several launches a step, and one
        {
            (double graph, double modules) = Errors(Wide("llama3"), ScalarType.BFloat16, weights, format);
            Assert.InRange(graph, 1e-6, 1.25 * modules);
        }
    }

    public static TheoryData<string> Weights { get; } = ["int8", "int8 groups", "int4", "int4 whole", "int4 codes", "float8", "float8 tensor", "int8 dynamic", "int4 dynamic", "float8 dynamic"];

    [CudaTheory]
    [MemberData(nameof(Weights))]
    public void Every_weight_is_as_near_to_float32_as_by_modules(string weight)
    {
        QuantizeConfig config = weight switch
        {
            "int8" => new Int8WeightOnlyConfig(),
            "int8 groups" => new Int8WeightOnlyConfig { GroupSize = 32 },
            "int4" => new Int4WeightOnlyConfig { GroupSize = 32 },
            "int4 whole" => new Int4WeightOnlyConfig { GroupSize = 64 },
            "int4 codes" => new Int4WeightOnlyConfig { GroupSize = 32, ZeroPointDomain = Primitives.ZeroPointDomain.Integer },
            "float8" => new Float8WeightOnlyConfig(),
            "int8 dynamic" => new Int8DynamicActivationInt8WeightConfig(),
            "int4 dynamic" => new Int8DynamicActivationInt4WeightConfig { GroupSize = 32 },
            "float8 dynamic" => new Float8DynamicActivationFloat8WeightConfig { Granularity = Float8Granularity.PerRow },
            _ => new Float8WeightOnlyConfig { Granularity = Float8Granularity.PerTensor },
        };
        (double graph, double modules) = Errors(Wide("llama2"), ScalarType.BFloat16, config, KeyValueFormat.Float);
        Assert.InRange(graph, 1e-6, 1.25 * modules);
    }

    [CudaFact]
    public void Several_sequences_go_side_by_side()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = OnDevice(Wide("llama2"), ScalarType.BFloat16, null);
        using var cache = new KeyValueCache(model.Config, batch: 3, dtype: model.DType, device: model.Device);
        Tensor ids = cat([.. Enumerable.Range(1, 3).Select(seed => SmallLlamas.Ids(9, seed))], 0).to(model.Device);
        Tensor together = cat([.. Enumerable.Range(0, 9).Select(at => model.Step(ids.narrow(1, at, 1), cache))], 1);
        Assert.True(cache.LastStep!.IsFused, cache.LastStep.Reason);
        for (int row = 0; row < 3; row++)
        {
            using var alone = new KeyValueCache(model.Config, dtype: model.DType, device: model.Device);
            Tensor expected = cat([.. Enumerable.Range(0, 9).Select(at => model.Step(ids.narrow(0, row, 1).narrow(1, at, 1), alone))], 1);
            Assert.InRange(Error(together.narrow(0, row, 1), expected), 0, 0.02);
        }
    }

    [CudaFact]
    public void A_chain_gives_the_likeliest_tokens_and_begins_anew_where_another_is_asked_for()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = OnDevice(Wide("llama2"), ScalarType.BFloat16, null);
        using var cache = new KeyValueCache(model.Config, dtype: model.DType, device: model.Device);
        using var chain = new TokenChain(model, cache);
        foreach (int first in (int[])[3, 11, 5])
        {
            int[] expected = ByLogits(model, first, 20);
            cache.Truncate(0);
            int token = first;
            int[] given = [.. Enumerable.Range(0, 20).Select(_ => token = chain.Next(token)!.Value)];
            Assert.Equal(expected, given);
            Assert.Equal(20, cache.Length);
        }
    }

    [CudaFact]
    public void A_chain_reaches_the_last_place_of_the_cache()
    {
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = OnDevice(Wide("llama2"), ScalarType.BFloat16, null);
        using var cache = new KeyValueCache(model.Config, capacity: 12, dtype: model.DType, device: model.Device);
        using var chain = new TokenChain(model, cache);
        int token = 1;
        for (int i = 0; i < 12; i++)
        {
            token = chain.Next(token)!.Value;
            Assert.InRange(token, 0, model.Config.VocabSize - 1);
        }

        Assert.Equal(12, cache.Length);
    }

    [CudaFact]
    public void Layers_that_are_exchanged_are_recorded_anew()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = OnDevice(Wide("llama2"), ScalarType.BFloat16, null);
        using var cache = new KeyValueCache(model.Config, dtype: model.DType, device: model.Device);
        Tensor one = SmallLlamas.Ids(1).to(model.Device);
        Tensor before = model.Step(one, cache);
        model.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 });
        cache.Truncate(0);
        Tensor after = model.Step(one, cache);
        cache.Truncate(0);
        model.UsesFusedDecode = false;
        Tensor expected = model.Step(one, cache);

        Assert.InRange(Error(after, expected), 0, 0.03);
        Assert.True(Error(before, after) > 0.03);
    }

    [CudaFact]
    public void What_has_no_graph_says_why()
    {
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = OnDevice(Wide("llama2"), ScalarType.BFloat16, null);
        using var cache = new KeyValueCache(model.Config, dtype: model.DType, device: model.Device);
        Assert.True(model.ExplainDecode(cache).IsFused);
        Assert.Equal(DecodeObstacle.ManyTokens, model.ExplainDecode(cache, 2).Obstacle);
        model.Quantize(new Int4DynamicActivationInt4WeightConfig());
        DecodePath path = model.ExplainDecode(cache);
        Assert.Equal(DecodeObstacle.Layer, path.Obstacle);
        Assert.Contains("rounds activations", path.Reason, StringComparison.Ordinal);
    }

    [CudaFact]
    public void A_step_says_how_many_kernels_it_launches_and_why()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = OnDevice(Wide("llama2"), ScalarType.BFloat16, null);
        using var cache = new KeyValueCache(model.Config, dtype: model.DType, device: model.Device);
        using var batch = new KeyValueCache(model.Config, batch: 3, dtype: model.DType, device: model.Device);
        int launches = (5 * model.Config.Layers) + 2; // and those of the table and of the head
        CudaDevice device = CudaDevice.Get(model.Device.index);
        string Separate(string reason) => device.ComputeCapability.Major >= 9
            ? $"fused kernels, {launches} launches a step ({reason})"
            : $"fused kernels, {launches} launches a step ({device.Name} has no barriers for copies (compute capability 9.0))";

        Assert.Equal(Separate("weights in 16 bits gain nothing by one launch"), $"{model.ExplainDecode(cache)}");
        model.Quantize(new Int8WeightOnlyConfig());
        Assert.Equal(Separate("3 sequences, one launch takes one"), $"{model.ExplainDecode(batch)}");
        DecodePath path = model.ExplainDecode(cache);
        Assert.True(device.ComputeCapability.Major < 9 || $"{path}" == "fused kernels, 2 launches a step", $"{path}"); // the table's row, all else
        model.Step(SmallLlamas.Ids(1).to(model.Device), cache);
        Assert.Equal(path, cache.LastStep);
    }

    // Sizes that the kernels take: rows of 32 features, heads of 8 numbers.
    private static LlamaConfig Wide(string family) => SmallLlamas.Family(family) with
    {
        HiddenSize = 64,
        IntermediateSize = 192,
        HeadSize = 16,
        MaxPositions = 64,
    };

    private static LlamaForCausalLM OnDevice(LlamaConfig config, ScalarType type, QuantizeConfig? weights)
    {
        LlamaForCausalLM model = SmallLlamas.Create(config);
        model.to(type);
        model.to(CUDA);
        if (weights is not null)
        {
            model.Quantize(weights);
        }

        return model;
    }

    // Errors of the graph and of the modules, against the dequantized weights in float32 on the CPU.
    private static (double Graph, double Modules) Errors(
        LlamaConfig config, ScalarType type, QuantizeConfig? weights, KeyValueFormat format)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = OnDevice(config, type, weights), exact = OnDevice(config, type, weights);
        exact.Dequantize();
        exact.to(ScalarType.Float32);
        exact.to(CPU);
        Tensor ids = SmallLlamas.Ids(Length);
        Tensor expected = exact.forward(ids);
        double graph = Run(isFused: true);
        return (graph, Run(isFused: false));

        double Run(bool isFused)
        {
            model.UsesFusedDecode = isFused;
            using var cache = new KeyValueCache(config, dtype: type, device: model.Device, format: format);
            Tensor placed = ids.to(model.Device);
            Tensor logits = cat([.. Enumerable.Range(0, Length).Select(at => model.Step(placed.narrow(1, at, 1), cache))], 1);
            Assert.True(cache.LastStep!.IsFused == isFused, cache.LastStep.Reason);
            return Error(logits.cpu(), expected);
        }
    }

    private static int[] ByLogits(LlamaForCausalLM model, int first, int count)
    {
        using DisposeScope scope = NewDisposeScope();
        using var cache = new KeyValueCache(model.Config, dtype: model.DType, device: model.Device);
        int token = first;
        return
        [
            .. Enumerable.Range(0, count).Select(_ =>
            {
                Tensor logits = model.Step(tensor((long[])[token], [1, 1], device: model.Device), cache);
                return token = (int)logits.argmax(-1).item<long>();
            }),
        ];
    }

    private static double Error(Tensor actual, Tensor expected) =>
        (actual - expected).norm().item<float>() / expected.norm().item<float>();
}
