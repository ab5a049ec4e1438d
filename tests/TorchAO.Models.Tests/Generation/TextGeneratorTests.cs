using TorchAO.Formats.Int4;
using TorchAO.KvCache;
using TorchAO.Models.Generation;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Models.Text;
using TorchAO.Tests;
using TorchSharp;
using Xunit;

namespace TorchAO.Models.Tests.Generation;

public sealed class TextGeneratorTests
{
    // llama2.c's documented output at temperature 0.
    private const string Story = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.";

    private const string BabyStory = "Once upon a time, there was a little girl named Lily. She loved to play outside in the sunshine. One day, she went to the park with her mommy and daddy. She saw a big box on the ground.";

    [Theory]
    [InlineData("assets/stories260k", "assets/stories260k", Story)]
    [InlineData("assets/stories260k/stories260K.bin", "assets/stories260k/tok512.bin", Story)]
    [InlineData("assets/babyllama105", "assets/babyllama105", BabyStory)]
    public void Greedy_text_is_the_documented_story(string modelPath, string tokenizerPath, string expected)
    {
        using LlamaForCausalLM model = LlamaLoader.Load(RepositoryFiles.Path(modelPath));
        using var generator = new TextGenerator(model, Tokenizer.Open(RepositoryFiles.Path(tokenizerPath)));

        string text = generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 220 });

        Assert.StartsWith(expected, text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prompt_goes_on_as_if_it_had_been_generated()
    {
        using Fixture f = new();
        string whole = f.Generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 30 });
        f.Generator.Reset();

        string rest = f.Generator.Complete("Once upon a time", new GenerationOptions { MaxNewTokens = 26 });

        Assert.Equal(whole, "Once upon a time" + rest);
    }

    [Fact]
    public void A_conversation_goes_on_where_it_was()
    {
        using Fixture f = new();
        string whole = f.Generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 24 });
        f.Generator.Reset();

        string first = f.Generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 10 });
        string second = f.Generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 14 });

        Assert.Equal(whole, first + second);
        Assert.Equal(1, f.Generator.Statistics.PromptTokens); // the last token of the first answer; all others are in the cache
    }

    [Fact]
    public void The_same_seed_gives_the_same_text_and_another_one_another()
    {
        using Fixture f = new();
        string[] texts = [.. new ulong[] { 1, 1, 2 }.Select(seed =>
        {
            f.Generator.Reset();
            return f.Generator.Complete("Once", new GenerationOptions { MaxNewTokens = 20, Temperature = 1, TopP = 0.95, Seed = seed });
        })];

        Assert.Equal(texts[0], texts[1]);
        Assert.NotEqual(texts[0], texts[2]);
    }

    [Fact]
    public void A_stop_text_ends_the_text_before_it_even_across_tokens()
    {
        using Fixture f = new();

        GeneratedToken[] tokens = [.. f.Generator.Generate(
            string.Empty, new GenerationOptions { StopTexts = ["girl named Li", "never"] })];

        Assert.Equal("Once upon a time, there was a little ", string.Concat(tokens.Select(token => token.Text)));
        Assert.Equal(FinishReason.StopText, tokens[^1].FinishReason);
        Assert.All(tokens[..^1], token => Assert.Null(token.FinishReason));
    }

    [Fact]
    public void Text_held_back_for_a_stop_that_does_not_come_appears_at_the_end()
    {
        using Fixture f = new();

        string text = f.Generator.Complete(
            string.Empty, new GenerationOptions { MaxNewTokens = 4, StopTexts = ["a time machine"] });

        Assert.Equal("Once upon a time", text);
    }

    [Fact]
    public void The_longest_sequence_and_a_stop_token_end_the_text()
    {
        using Fixture f = new(capacity: 8);
        Assert.Equal(FinishReason.ContextLength, f.Generator.Generate(string.Empty).Last().FinishReason);
        f.Generator.Reset();

        GeneratedToken last = f.Generator.Generate(string.Empty, new GenerationOptions { StopTokenIds = [261] }).Last();

        Assert.Equal(FinishReason.EndOfText, last.FinishReason);
        Assert.Equal(261, last.Id);
    }

    [Fact]
    public void A_text_that_does_not_fit_and_options_that_make_no_sense_are_refused_at_once()
    {
        using Fixture f = new(capacity: 8);

        var tooLong = Assert.Throws<ArgumentOutOfRangeException>(() => f.Generator.Generate(Story));
        Assert.Contains("at most 8", tooLong.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => f.Generator.Generate("a", new GenerationOptions { Temperature = -1 }));
        Assert.Throws<ArgumentException>(() => f.Generator.Generate("a", new GenerationOptions { TopP = 0 }));
        Assert.Throws<ArgumentException>(() => f.Generator.Generate("a", new GenerationOptions { TopK = 0 }));
        Assert.Throws<ArgumentException>(() => f.Generator.Generate("a", new GenerationOptions { RepetitionPenalty = 0 }));
        Assert.Throws<ArgumentException>(() => f.Generator.Generate("a", new GenerationOptions { MaxNewTokens = 0 }));
        Assert.Throws<ArgumentException>(() => f.Generator.Generate("a", new GenerationOptions { StopTexts = [""] }));
    }

    [Fact]
    public void Cancelling_leaves_a_conversation_that_goes_on()
    {
        using Fixture f = new();
        using var cancellation = new CancellationTokenSource();
        string first = string.Empty;
        Assert.Throws<OperationCanceledException>(() =>
        {
            foreach (GeneratedToken token in f.Generator.Generate(string.Empty, cancellation: cancellation.Token))
            {
                first += token.Text;
                cancellation.Cancel();
            }
        });

        string second = f.Generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 3 });

        Assert.Equal("Once upon a time", first + second);
    }

    [Fact]
    public void A_thousand_tokens_leave_no_tensor()
    {
        using Fixture f = new();
        f.Generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 5 });
        f.Generator.Reset();
        long before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

        for (int i = 0; i < 4; i++)
        {
            f.Generator.Reset();
            f.Generator.Complete(string.Empty, new GenerationOptions { MaxNewTokens = 250, Temperature = 0.8, Seed = (ulong)i });
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Statistics_count_tokens_and_the_bytes_that_a_quantized_model_reads()
    {
        using Fixture f = new();
        long floats = f.Model.CountBytes();
        f.Generator.Complete("Once upon a time", new GenerationOptions { MaxNewTokens = 6 });
        GenerationStatistics before = f.Generator.Statistics;

        f.Model.Quantize(new Int4WeightOnlyConfig { GroupSize = -1 });
        using var quantized = new TextGenerator(f.Model, f.Tokenizer);
        quantized.Complete("Once upon a time", new GenerationOptions { MaxNewTokens = 6 });

        Assert.Equal(260_032 * 4, floats);
        Assert.Equal(floats, before.WeightBytesPerToken);
        Assert.Equal((5, 6), (before.PromptTokens, before.NewTokens));
        Assert.True(before.TokensPerSecond > 0 && before.GigabytesPerSecond > 0);
        Assert.True(quantized.Statistics.WeightBytesPerToken < floats / 3);
    }

    [Theory]
    [InlineData(KeyValueFormat.Float, 8 * 4)]
    [InlineData(KeyValueFormat.Int8, 8 + 4)]
    [InlineData(KeyValueFormat.Float8, 8 + 4)]
    [InlineData(KeyValueFormat.Int4, 4 + 4 + 4)]
    public void Statistics_state_the_bytes_of_the_cache(KeyValueFormat format, int bytesAHead)
    {
        using Fixture f = new();
        LlamaConfig config = f.Model.Config;
        using var generator = new TextGenerator(f.Model, f.Tokenizer, capacity: 20, cacheFormat: format);

        generator.Complete("Once upon a time", new GenerationOptions { MaxNewTokens = 3 });

        long expected = 2L * config.Layers * config.KeyValueHeads * bytesAHead;
        Assert.Equal((expected, expected * 20), (generator.Statistics.CacheBytesPerToken, generator.Statistics.CacheBytes));
    }

    private sealed class Fixture : IDisposable
    {
        public Fixture(int? capacity = null)
        {
            Model = LlamaLoader.Load(RepositoryFiles.Path("assets/stories260k"));
            Tokenizer = Tokenizer.Open(RepositoryFiles.Path("assets/stories260k"));
            Generator = new TextGenerator(Model, Tokenizer, capacity);
        }

        public LlamaForCausalLM Model { get; }

        public Tokenizer Tokenizer { get; }

        public TextGenerator Generator { get; }

        public void Dispose()
        {
            Generator.Dispose();
            Model.Dispose();
        }
    }
}
