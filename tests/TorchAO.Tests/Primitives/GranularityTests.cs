using TorchAO.Primitives;
using Xunit;

namespace TorchAO.Tests.Primitives;

public sealed class GranularityTests
{
    private static readonly long[] Shape = [3, 4, 10, 12];

    public static TheoryData<Granularity, long[]> Rules => new()
    {
        { new PerTensor(), [3, 4, 10, 12] },
        { new PerAxis(0), [1, 4, 10, 12] },
        { new PerAxis(-3), [3, 1, 10, 12] },
        { new PerRow(), [1, 1, 1, 12] },
        { new PerToken(), [1, 1, 1, 12] },
        { new PerGroup(4), [1, 1, 1, 4] },
        { new PerBlock(5, 6), [1, 1, 5, 6] },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void A_rule_becomes_a_block_size(Granularity rule, long[] expected) =>
        Assert.Equal(expected, rule.BlockSize(Shape));

    [Fact]
    public void Rules_that_do_not_fit_name_the_shape()
    {
        Granularity[] rules = [new PerAxis(4), new PerGroup(5), new PerGroup(0), new PerBlock(3, 6), new PerBlock()];
        foreach (Granularity rule in rules)
        {
            QuantizationException error = Assert.Throws<QuantizationException>(() => rule.BlockSize(Shape));
            Assert.Contains("[3, 4, 10, 12]", error.Message, StringComparison.Ordinal);
        }

        Assert.Throws<QuantizationException>(() => new PerRow().BlockSize([]));
    }

    [Fact]
    public void Blocks_with_equal_edges_are_equal() => Assert.Equal(new PerBlock(2, 3), new PerBlock(2, 3));

    [Fact]
    public void A_layout_splits_reduces_and_keeps_as_the_blocks_say()
    {
        var layout = new BlockLayout([3, 3, 10, 10], [3, 3, 2, 10]);

        Assert.Equal([3L, 3, 5, 2, 10], layout.View);
        Assert.Equal([0L, 1, 3, 4], layout.Reduced);
        Assert.Equal([1L, 1, 5, 1, 1], layout.Kept);
        Assert.Equal(5, layout.Blocks);
    }
}
