using TorchAO.Models.Llama;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama;

public sealed class LlamaForCausalLMTests
{
    public static TheoryData<string> Families => SmallLlamas.Families;

    [Theory]
    [MemberData(nameof(Families))]
    public void Logits_are_those_of_the_formulas_written_out(string family)
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family(family));
        using Tensor ids = SmallLlamas.Ids(17);
        double[][] expected = new NaiveLlama(model).Forward(ids.data<long>().ToArray());

        using IDisposable noGradient = no_grad();
        using Tensor logits = model.forward(ids);

        AssertClose(expected.SelectMany(row => row), logits, 2e-4);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Steps_behind_a_cache_give_the_logits_of_the_whole(string family)
    {
        LlamaConfig config = SmallLlamas.Family(family);
        using LlamaForCausalLM model = SmallLlamas.Create(config);
        using var cache = new KeyValueCache(config, capacity: 20);
        using Tensor ids = SmallLlamas.Ids(17);
        using IDisposable noGradient = no_grad();
        using Tensor whole = model.forward(ids);
        long at = 0;
        foreach (long count in (long[])[7, 1, 1, 4, 1, 3])
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor logits = model.Step(ids.narrow(1, at, count), cache);
            Tensor expected = whole.narrow(1, at, count);
            Assert.True(allclose(expected, logits, 1e-4, 1e-4), $"{family}: {count} tokens behind {at}");
            at += count;
        }

        Assert.Equal(17, cache.Length);
    }

    [Fact]
    public void A_truncated_cache_continues_as_if_the_tokens_had_not_been()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        using var cache = new KeyValueCache(SmallLlamas.Config);
        using Tensor ids = SmallLlamas.Ids(9);
        using IDisposable noGradient = no_grad();
        using (Tensor wrong = SmallLlamas.Ids(5, seed: 99))
        {
            using Tensor begin = ids.narrow(1, 0, 6);
            model.Step(begin, cache).Dispose();
            model.Step(wrong, cache).Dispose();
        }

        cache.Truncate(6);
        using Tensor rest = ids.narrow(1, 6, 3);
        using Tensor logits = model.Step(rest, cache, lastOnly: true);
        using Tensor whole = model.forward(ids);
        using Tensor last = whole.narrow(1, 8, 1);
        Assert.True(allclose(last, logits, 1e-4, 1e-4));
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, 0.4)]
    [InlineData(ScalarType.Float16, 0.05)]
    public void A_model_converts_as_any_module_does(ScalarType dtype, double tolerance)
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family("qwen3"));
        using Tensor ids = SmallLlamas.Ids(12);
        using IDisposable noGradient = no_grad();
        using Tensor expected = model.forward(ids);

        model.to(dtype);

        Assert.All(model.parameters(), parameter => Assert.Equal(dtype, parameter.dtype));
        using Tensor logits = model.forward(ids);
        AssertClose(expected.data<float>().ToArray().Select(value => (double)value), logits, tolerance);
    }

    [Fact]
    public void Forward_and_steps_leave_no_tensor_behind()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        using var cache = new KeyValueCache(SmallLlamas.Config);
        using Tensor ids = SmallLlamas.Ids(4);
        using IDisposable noGradient = no_grad();
        model.forward(ids).Dispose(); // makes the rotary tables
        model.Step(ids, cache).Dispose(); // makes what fused steps keep
        long before = LiveTensors.Count();
        for (int i = 0; i < 10; i++)
        {
            model.Step(ids, cache).Dispose();
        }

        Assert.Equal(before, LiveTensors.Count());
    }

    [Fact]
    public void A_sequence_beyond_the_cache_is_refused_before_it_changes_anything()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        using var cache = new KeyValueCache(SmallLlamas.Config, capacity: 6);
        using Tensor ids = SmallLlamas.Ids(4);
        using IDisposable noGradient = no_grad();
        model.Step(ids, cache).Dispose();
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() => model.Step(ids, cache));
        Assert.Contains("8 tokens", error.Message, StringComparison.Ordinal);
        Assert.Contains("at most 6", error.Message, StringComparison.Ordinal);
        Assert.Equal(4, cache.Length);
    }

    [Fact]
    public void Gradients_reach_every_parameter()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Family("biased"));
        using Tensor ids = SmallLlamas.Ids(8);
        using Tensor logits = model.forward(ids);
        using Tensor loss = logits.mul(logits).mean();
        loss.backward();
        Assert.All(model.named_parameters(), named =>
        {
            using Tensor? gradient = named.parameter.grad;
            Assert.True(gradient is not null && gradient.abs().sum().item<float>() > 0, named.name);
        });
    }

    private static void AssertClose(IEnumerable<double> expected, Tensor actual, double tolerance)
    {
        using Tensor wide = actual.to(ScalarType.Float64);
        double worst = expected.Zip(wide.data<double>().ToArray(), (a, b) => Math.Abs(a - b)).Max();
        Assert.True(worst <= tolerance, $"the largest difference is {worst}, expected at most {tolerance}");
    }
}
