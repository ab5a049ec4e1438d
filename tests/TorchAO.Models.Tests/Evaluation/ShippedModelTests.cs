using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Loading;
using TorchAO.Models.Text;
using TorchAO.Primitives;
using TorchAO.Tests;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Models.Tests.Evaluation;

/// <summary>The published numbers of the shipped models: first 100 stories, each cut to the longest sequence.</summary>
public sealed class ShippedModelTests
{
    [Theory]
    [InlineData("stories260k", 29140, 1.53866)]
    [InlineData("babyllama105", 23780, 0.73219)]
    public void Float_models_have_their_likelihood(string name, long tokens, double expected)
    {
        using LlamaForCausalLM model = Load(name);
        LanguageModelScore score = Score(model, name);
        Assert.Equal(tokens, score.Tokens);
        Assert.Equal(expected, score.NegativeLogLikelihood, 2e-4);
    }

    [Theory]
    [InlineData("stories260k", 8, 1.53918)]
    [InlineData("stories260k", 4, 1.70454)]
    [InlineData("stories260k", 3, 2.99869)]
    [InlineData("babyllama105", 8, 0.73222)]
    [InlineData("babyllama105", 4, 0.78508)]
    [InlineData("babyllama105", 3, 1.14412)]
    public void Rounding_with_the_primitives_costs_what_is_published(string name, int bits, double expected)
    {
        using LlamaForCausalLM model = Load(name);
        int largest = (1 << (bits - 1)) - 1;
        var scheme = new AffineScheme(QuantizedType.Signed(bits).Within(-largest, largest));
        using (no_grad())
        {
            foreach (Linear linear in model.modules().OfType<Linear>())
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor weight = linear.weight!;
                long[] block = [1, weight.size(1) % 32 == 0 ? 32 : weight.size(1)];
                using QParams qparams = AffineQuantization.ChooseQParams(weight, block, scheme);
                Tensor codes = AffineQuantization.Quantize(weight, block, qparams, scheme);
                weight.copy_(AffineQuantization.Dequantize(codes, block, qparams, scheme));
            }
        }

        Assert.Equal(expected, Score(model, name).NegativeLogLikelihood, 1e-3);
    }

    [Theory]
    [InlineData("stories260k", 8, 1.53918)]
    [InlineData("stories260k", 4, 1.70454)]
    [InlineData("babyllama105", 8, 0.73222)]
    [InlineData("babyllama105", 4, 0.78508)]
    public void Quantized_models_lose_what_is_published_and_agree_with_their_values(string name, int bits, double expected)
    {
        using LlamaForCausalLM model = Load(name);
        QuantizeReport report = model.Quantize(Rules(name, bits));
        Assert.Equal(35, report.Changed.Count());
        double kernels = Score(model, name).NegativeLogLikelihood;
        Assert.Equal(expected, kernels, 1e-3);
    }

    [Fact]
    public void A_quantized_model_is_compared_with_the_float_one()
    {
        using LlamaForCausalLM reference = Load("stories260k");
        using LlamaForCausalLM model = Load("stories260k");
        model.Quantize(Rules("stories260k", 4));
        ReferenceDivergence divergence = Score(model, "stories260k", reference).Divergence!;
        Assert.InRange(divergence.Mean, 0.15, 0.19);
        Assert.InRange(divergence.Agreement, 0.78, 0.82);
    }

    // Where 32 does not divide the inputs, each row has one scale.
    private static ModuleRules Rules(string name, int bits)
    {
        QuantizeConfig Group(long? size) => bits == 8
            ? new Int8WeightOnlyConfig { GroupSize = size, NarrowRange = true }
            : new Int4WeightOnlyConfig { GroupSize = size, MappingType = MappingType.Symmetric, NarrowRange = true };
        return name == "stories260k"
            ? new ModuleRules { ["*.down_proj"] = Group(null), ["*"] = Group(32) }
            : new ModuleRules { ["*"] = Group(32) };
    }

    private static LlamaForCausalLM Load(string name) => LlamaLoader.Load(RepositoryFiles.Path($"assets/{name}"));

    private static LanguageModelScore Score(LlamaForCausalLM model, string name, LlamaForCausalLM? reference = null)
    {
        Tokenizer tokenizer = Tokenizer.Open(RepositoryFiles.Path($"assets/{name}"));
        string corpus = File.ReadAllText(RepositoryFiles.Path("assets/tinystories/tinystories_train_sample.txt"));
        IEnumerable<TokenWindow> windows = TokenWindow.OfDocuments(
            TextDocuments.Split(corpus).Take(100).Select(story => tokenizer.Encode(story)), model.Config.MaxPositions);
        return LanguageModelEvaluation.Score(model, windows, reference, cancellation: TestContext.Current.CancellationToken);
    }
}
