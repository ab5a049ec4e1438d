using TorchAO.KvCache;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Models.Tests.Llama;
using TorchAO.Tests;
using Xunit;

namespace TorchAO.Models.Tests.Evaluation;

public sealed class LanguageModelSpeedTests
{
    [Theory]
    [InlineData(KeyValueFormat.Float)]
    [InlineData(KeyValueFormat.Int8)]
    public void Both_times_can_be_taken_in_any_order_and_again(KeyValueFormat format)
    {
        LlamaConfig config = SmallLlamas.Config with { HeadSize = 32 };
        using LlamaForCausalLM model = SmallLlamas.Create(config);
        using (var first = new LanguageModelSpeed(model, 1, config.MaxPositions - 1))
        {
            first.Decode(); // the model makes its tables of rotations as it needs them
        }

        long before = LiveTensors.Count();
        using (var speed = new LanguageModelSpeed(model, promptTokens: 5, newTokens: config.MaxPositions - 5, format))
        {
            TimeSpan[] times = [speed.Decode(), speed.Decode(), speed.Prefill(), speed.Prefill(), speed.Decode()];

            Assert.All(times, time => Assert.True(time > TimeSpan.Zero));
        }

        Assert.Equal(before, LiveTensors.Count());
    }

    [Fact]
    public void No_new_token_takes_no_time()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        using var speed = new LanguageModelSpeed(model, promptTokens: 2, newTokens: 0);

        Assert.Equal(TimeSpan.Zero, speed.Decode());
    }

    [Fact]
    public void More_tokens_than_the_model_takes_are_refused()
    {
        using LlamaForCausalLM model = SmallLlamas.Create(SmallLlamas.Config);
        int longest = model.Config.MaxPositions;

        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(
            () => new LanguageModelSpeed(model, promptTokens: longest, newTokens: 1));

        Assert.Contains($"expected at most {longest} together", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => new LanguageModelSpeed(model, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new LanguageModelSpeed(model, 1, -1));
    }
}
