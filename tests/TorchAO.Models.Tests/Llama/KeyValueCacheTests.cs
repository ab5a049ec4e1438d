using TorchAO.KvCache;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Models.Text;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Llama;

public sealed class KeyValueCacheTests
{
    public static TheoryData<KeyValueFormat> Quantized => [KeyValueFormat.Int8, KeyValueFormat.Int4, KeyValueFormat.Float8];

    [Theory]
    [InlineData(KeyValueFormat.Float, 2 * 32 * 4)]
    [InlineData(KeyValueFormat.Int8, 2 * (32 + 4))]
    [InlineData(KeyValueFormat.Float8, 2 * (32 + 4))]
    [InlineData(KeyValueFormat.Int4, 2 * (16 + 4 + 4))]
    public void A_token_takes_the_bytes_of_its_format(KeyValueFormat format, int bytesAHead)
    {
        LlamaConfig config = SmallLlamas.Config with { HeadSize = 32 };
        using var cache = new KeyValueCache(config, format: format);

        Assert.Equal(config.Layers * config.KeyValueHeads * bytesAHead, cache.BytesPerToken);
        Assert.Equal(cache.BytesPerToken * config.MaxPositions, cache.Bytes);
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void Steps_are_near_those_of_a_float_cache(KeyValueFormat format)
    {
        foreach (string family in new[] { "llama2", "mistral", "qwen3" })
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGradient = no_grad();
            LlamaConfig config = SmallLlamas.Family(family);
            using LlamaForCausalLM model = SmallLlamas.Create(config);
            using Tensor ids = SmallLlamas.Ids(17);
            using var cache = new KeyValueCache(config, capacity: 20, format: format);
            Tensor whole = model.forward(ids);
            long at = 0;
            double error = 0, signal = 0;
            foreach (long count in (long[])[7, 1, 1, 4, 1, 3])
            {
                Tensor logits = model.Step(ids.narrow(1, at, count), cache);
                Tensor expected = whole.narrow(1, at, count);
                error += (expected - logits).square().sum().item<float>();
                signal += expected.square().sum().item<float>();
                at += count;
            }

            Assert.InRange(Math.Sqrt(error / signal), 1e-7, format == KeyValueFormat.Int4 ? 0.2 : 0.04);
        }
    }

    [Theory]
    [InlineData(KeyValueFormat.Float, 0)]
    [InlineData(KeyValueFormat.Int8, 0.002)]
    [InlineData(KeyValueFormat.Float8, 0.01)]
    [InlineData(KeyValueFormat.Int4, 0.35)] // heads of eight numbers, some of them large in every key
    public void The_story_model_keeps_its_likelihood(KeyValueFormat format, double bound)
    {
        string folder = RepositoryFiles.Path("assets/stories260k");
        using LlamaForCausalLM model = LlamaLoader.Load(folder);
        var tokenizer = Tokenizer.Open(folder);
        TokenWindow[] windows =
        [
            .. TokenWindow.OfDocuments(
                TextDocuments.Split(File.ReadAllText(RepositoryFiles.Path("assets/tinystories/tinystories_train_sample.txt"))).Take(3).Select(story => tokenizer.Encode(story)),
                model.Config.MaxPositions),
        ];
        double plain = LanguageModelEvaluation.Score(model, windows).NegativeLogLikelihood;

        double cached = LanguageModelEvaluation.Score(model, windows, cacheFormat: format).NegativeLogLikelihood;

        Assert.InRange(cached - plain, -bound - 1e-5, bound + 1e-5);
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void Truncating_and_disposing_leave_nothing(KeyValueFormat format)
    {
        Round(format);
        long before = LiveTensors.Count();
        Round(format);
        Assert.Equal(before, LiveTensors.Count());

        static void Round(KeyValueFormat format)
        {
            using DisposeScope scope = NewDisposeScope();
            var config = SmallLlamas.Config;
            using var cache = new KeyValueCache(config, format: format);
            using Tensor rows = randn(1, config.KeyValueHeads, 4, config.HeadSize);
            (Tensor keys, Tensor values) = cache.Append(0, rows, rows);
            keys.Dispose();
            values.Dispose();
            cache.Advance(4);
            cache.Truncate(2);
            (keys, values) = cache.Append(0, rows, rows, visible: 5);
            Assert.Equal(5, keys.size(2));
            keys.Dispose();
            values.Dispose();
        }
    }

    [Fact]
    public void A_format_that_does_not_fit_is_said()
    {
        LlamaConfig odd = SmallLlamas.Config with { HeadSize = 7 };
        Assert.Contains(
            "heads of 7 numbers", Assert.Throws<QuantizationException>(() => new KeyValueCache(odd, format: KeyValueFormat.Int4)).Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => new KeyValueCache(odd, format: (KeyValueFormat)9));
    }
}
