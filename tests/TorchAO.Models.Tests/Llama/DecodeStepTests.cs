using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.KvCache;
using TorchAO.Lifecycle;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Models.Text;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama;

/// <summary>Steps as fused kernels against steps module by module.</summary>
public sealed class DecodeStepTests
{
    private static readonly long[] Counts = [7, 1, 1, 4, 1, 3];

    public static TheoryData<string, KeyValueFormat> FamiliesAndFormats()
    {
        var data = new TheoryData<string, KeyValueFormat>();
        foreach (string family in SmallLlamas.Families.Select(row => row.Data))
        {
            foreach (KeyValueFormat format in Enum.GetValues<KeyValueFormat>())
            {
                data.Add(family, format);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(FamiliesAndFormats))]
    public void Logits_are_those_of_the_modules(string family, KeyValueFormat format)
    {
        LlamaConfig config = SmallLlamas.Family(family);
        using LlamaForCausalLM model = SmallLlamas.Create(config);

        // A number that lies between two codes may fall to the other side, which moves what is behind it by a step of the codes.
        double bound = format switch { KeyValueFormat.Float => 1e-5, KeyValueFormat.Int4 => 2e-2, _ => 5e-3 };
        Assert.InRange(Difference(model, format), 0, bound);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, 0.05)]
    [InlineData(ScalarType.Float16, 0.01)]
    public void Models_in_16_bits_differ_by_what_the_modules_round_between_them(ScalarType type, double bound)
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family("qwen3"));
        model.to(type);
        foreach (KeyValueFormat format in Enum.GetValues<KeyValueFormat>())
        {
            Assert.InRange(Difference(model, format), 1e-5, format == KeyValueFormat.Int4 ? 5 * bound : bound);
        }
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void Models_in_16_bits_come_no_less_near_to_float32_than_by_modules(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config), exact = SmallLlamas.Create(SmallLlamas.Config);
        model.to(type);
        exact.to(type).to(ScalarType.Float32);
        Tensor ids = SmallLlamas.Ids(40);
        Tensor expected = exact.forward(ids);
        double fused = Error();
        model.UsesFusedDecode = false;

        Assert.InRange(fused, 1e-5, Error());

        double Error()
        {
            using var cache = new KeyValueCache(model.Config, dtype: type);
            Tensor logits = cat([.. Enumerable.Range(0, 40).Select(i => model.Step(ids.narrow(1, i, 1), cache))], 1);
            return (logits - expected).norm().item<float>() / expected.norm().item<float>();
        }
    }

    [Fact]
    public void Quantized_layers_and_tables_run_their_own_kernels()
    {
        LlamaConfig config = SmallLlamas.Family("tied") with { HiddenSize = 64, IntermediateSize = 96, HeadSize = 16 };
        using LlamaForCausalLM model = SmallLlamas.Create(config);
        model.Quantize(
            new ModuleRules { ["model.layers.0.*"] = new Int4WeightOnlyConfig { GroupSize = 32 }, ["*"] = new Int8WeightOnlyConfig() },
            new QuantizeOptions { Modules = ModuleKinds.All });

        Assert.InRange(Difference(model, KeyValueFormat.Float), 0, 1e-5);
    }

    [Fact]
    public void Several_sequences_go_side_by_side()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        using var cache = new KeyValueCache(model.Config, batch: 2);
        Tensor ids = cat([SmallLlamas.Ids(9, seed: 1), SmallLlamas.Ids(9, seed: 2)], 0);
        Tensor whole = model.forward(ids);

        Tensor logits = cat([.. new long[] { 0, 3, 4, 8 }.Zip([3L, 1, 4, 1], (at, count) => Step(model, cache, ids.narrow(1, at, count)))], 1);

        Assert.True(allclose(whole, logits, 1e-4, 1e-4));

        static Tensor Step(LlamaForCausalLM model, KeyValueCache cache, Tensor ids)
        {
            Tensor logits = model.Step(ids, cache);
            Assert.True(cache.LastStep!.IsFused, cache.LastStep.Reason);
            return logits;
        }
    }

    [Fact]
    public void The_last_logits_alone_are_the_last_of_all_and_stay_as_they_are()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        using KeyValueCache first = new(model.Config), second = new(model.Config);
        Tensor ids = SmallLlamas.Ids(8);
        Tensor all = model.Step(ids, first), last = model.Step(ids, second, lastOnly: true);
        Tensor kept = last.clone();
        model.Step(SmallLlamas.Ids(8, seed: 9), second, lastOnly: true);

        Assert.Equal([1, 1, model.Config.VocabSize], last.shape);
        Assert.True(allclose(all.narrow(1, 7, 1), last, 1e-5, 1e-6));
        Assert.True(kept.equal(last).all().item<bool>());
    }

    [Theory]
    [InlineData("stories260k")]
    [InlineData("babyllama105")]
    public void The_story_models_give_the_logits_of_the_modules_in_every_cache(string name)
    {
        string folder = RepositoryFiles.Path($"assets/{name}");
        using LlamaForCausalLM model = LlamaLoader.Load(folder);
        IReadOnlyList<int> story = Tokenizer.Open(folder).Encode("Once upon a time there was a little dog named Max. He liked to run in the park and play.");
        foreach (KeyValueFormat format in Enum.GetValues<KeyValueFormat>())
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor ids = tensor([.. story.Select(id => (long)id)], [1, story.Count]);
            double bound = format switch { KeyValueFormat.Float => 1e-5, KeyValueFormat.Int4 => 3e-2, _ => 5e-3 };
            Assert.InRange(Difference(model, format, ids, [.. Enumerable.Repeat(1L, story.Count)]), 0, bound);
        }
    }

    [Fact]
    public void Each_obstacle_is_named_and_the_modules_run()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        LlamaConfig config = model.Config;
        using var cache = new KeyValueCache(config);
        using Tensor one = SmallLlamas.Ids(1);
        Assert.Equal(DecodeObstacle.Gradients, model.ExplainDecode(cache).Obstacle);
        using IDisposable noGradient = inference_mode();
        Assert.Equal(DecodePath.Fused, model.ExplainDecode(cache));
        Assert.Equal("fused kernels", model.ExplainDecode(cache, 8).ToString());
        Assert.Equal(DecodeObstacle.NoCache, model.ExplainDecode(null).Obstacle);
        Assert.Equal(DecodeObstacle.ManyTokens, model.ExplainDecode(cache, 9).Obstacle);
        using var half = new KeyValueCache(config, dtype: ScalarType.BFloat16);
        Assert.Equal(DecodeObstacle.Cache, model.ExplainDecode(half).Obstacle);
        using var other = new KeyValueCache(config with { Layers = 3 });
        Assert.Equal(DecodeObstacle.Cache, model.ExplainDecode(other).Obstacle);
        using LlamaForCausalLM wide = SmallLlamas.Create(config);
        wide.to(ScalarType.Float64);
        Assert.Equal(DecodeObstacle.Type, wide.ExplainDecode(cache).Obstacle);
        using var meta = new LlamaForCausalLM(config, device: META);
        Assert.Equal(DecodeObstacle.Device, meta.ExplainDecode(cache).Obstacle);

        model.UsesFusedDecode = false;
        model.Step(one, cache).Dispose();
        Assert.Equal(DecodeObstacle.SwitchedOff, cache.LastStep!.Obstacle);
        Assert.Equal("modules (UsesFusedDecode is off)", cache.LastStep.ToString());
        model.UsesFusedDecode = true;
        model.Step(one, cache).Dispose();
        Assert.True(cache.LastStep.IsFused);
    }

    [Theory]
    [InlineData("model.norm")]
    [InlineData("model.layers.1.input_layernorm")]
    [InlineData("model.layers.0.mlp")]
    [InlineData("model.layers.0.self_attn.k_norm")]
    public void A_hook_is_called_as_ever(string name)
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family("qwen3"));
        var module = (nn.Module<Tensor, Tensor>)model.named_modules().Single(found => found.name == name).module;
        using var cache = new KeyValueCache(model.Config);
        using Tensor one = SmallLlamas.Ids(1);
        using IDisposable noGradient = inference_mode();
        int calls = 0;
        var hook = module.register_forward_hook((_, _, output) =>
        {
            calls++;
            return output;
        });
        model.Step(one, cache).Dispose();
        Assert.Equal(DecodeObstacle.Hook, cache.LastStep!.Obstacle);
        Assert.Equal(1, calls);

        hook.remove();
        model.Step(one, cache).Dispose();
        Assert.True(cache.LastStep!.IsFused);
    }

    [Fact]
    public void Streams_of_one_model_do_not_meet()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        float[][] alone = [.. Enumerable.Range(0, 4).Select(Stream)];
        float[][] together = new float[4][];
        Parallel.For(0, 4, i => together[i] = Stream(i));

        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(alone[i], together[i]);
        }

        float[] Stream(int seed)
        {
            using IDisposable noGradient = inference_mode();
            using DisposeScope scope = NewDisposeScope();
            using var cache = new KeyValueCache(model.Config);
            Tensor ids = SmallLlamas.Ids(30, seed);
            return [.. Enumerable.Range(0, 30).SelectMany(i => model.Step(ids.narrow(1, i, 1), cache).data<float>().ToArray())];
        }
    }

    [Fact]
    public void A_step_leaves_no_tensor()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family("qwen3"));
        Round();
        long before = LiveTensors.Count();
        Round();
        Assert.Equal(before, LiveTensors.Count());

        void Round()
        {
            using IDisposable noGradient = inference_mode();
            using var cache = new KeyValueCache(model.Config, format: KeyValueFormat.Int8);
            foreach (int count in new[] { 1, 3, 1 })
            {
                using Tensor ids = SmallLlamas.Ids(count);
                model.Step(ids, cache).Dispose();
            }
        }
    }

    private static double Difference(LlamaForCausalLM model, KeyValueFormat format)
    {
        using Tensor ids = SmallLlamas.Ids(17);
        return Difference(model, format, ids, Counts);
    }

    // The norm of the difference of all logits by that of the logits, step by step behind one cache each.
    private static double Difference(LlamaForCausalLM model, KeyValueFormat format, Tensor ids, long[] counts)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = inference_mode();
        int capacity = checked((int)ids.size(1)) + 3;
        using var fused = new KeyValueCache(model.Config, capacity: capacity, dtype: model.DType, format: format);
        using var modules = new KeyValueCache(model.Config, capacity: capacity, dtype: model.DType, format: format);
        (double error, double signal, long at) = (0, 0, 0);
        foreach (long count in counts)
        {
            Tensor tokens = ids.narrow(1, at, count);
            Tensor actual = model.Step(tokens, fused);
            model.UsesFusedDecode = false;
            Tensor expected = model.Step(tokens, modules);
            model.UsesFusedDecode = true;
            Assert.True(fused.LastStep!.IsFused, fused.LastStep.Reason);
            Assert.Equal(DecodeObstacle.SwitchedOff, modules.LastStep!.Obstacle);
            error += (expected - actual).square().sum().item<float>();
            signal += expected.square().sum().item<float>();
            at += count;
        }

        Assert.Equal(at, fused.Length);
        return Math.Sqrt(error / signal);
    }
}
