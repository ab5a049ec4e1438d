using TorchAO.Models.Llama;
using Xunit;

namespace TorchAO.Models.Tests.Llama;

public sealed class LlamaShapesTests
{
    [Theory]
    [InlineData("260k", 260_032)]
    [InlineData("15m", 15_191_712)]
    [InlineData("110m", 109_529_856)]
    [InlineData("1b", 1_235_814_400)]
    [InlineData("3b", 3_212_749_824)]
    [InlineData("7b", 6_738_415_616)]
    [InlineData("8B", 8_030_261_248)]
    public void A_shape_has_as_many_parameters_as_the_published_model(string name, long parameters)
    {
        LlamaConfig shape = LlamaShapes.Find(name);
        long hidden = shape.HiddenSize;
        long table = shape.VocabSize * hidden;
        long attention = 2 * hidden * shape.HeadSize * (shape.Heads + shape.KeyValueHeads);
        long feedForward = 3 * hidden * shape.IntermediateSize;
        long norms = 2 * hidden;

        Assert.Equal(
            parameters, (shape.IsTied ? table : 2 * table) + (shape.Layers * (attention + feedForward + norms)) + hidden);
    }

    [Fact]
    public void Every_name_has_a_shape_whose_heads_fit()
    {
        Assert.All(LlamaShapes.Names, name =>
        {
            LlamaConfig shape = LlamaShapes.Find(name);
            Assert.Equal(0, shape.Heads % shape.KeyValueHeads);
            Assert.Equal(shape.HiddenSize, shape.Heads * shape.HeadSize);
        });
    }

    [Fact]
    public void An_unknown_name_is_told_the_known_ones()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => LlamaShapes.Find("70b"));

        Assert.Contains("'70b'", error.Message, StringComparison.Ordinal);
        Assert.Contains("260k, 15m, 42m, 110m, 1b, 3b, 7b, 8b", error.Message, StringComparison.Ordinal);
    }
}
