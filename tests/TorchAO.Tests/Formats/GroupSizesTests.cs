using TorchAO.Formats;
using TorchAO.Tensors;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats;

public sealed class GroupSizesTests
{
    [Theory]
    [InlineData(null, 100)]
    [InlineData(-1L, 100)]
    [InlineData(25L, 25)]
    public void No_size_means_the_whole_row(long? groupSize, long expected)
    {
        Assert.Equal(expected, GroupSizes.Resolve(groupSize, 100));
        Assert.Null(GroupSizes.ReasonToSkip(groupSize, Facts(100)));
    }

    [Fact]
    public void A_group_that_does_not_divide_the_row_is_a_reason_to_skip() => Assert.Equal(
        "in_features 100 is not a multiple of the group size 64",
        GroupSizes.ReasonToSkip(64, Facts(100)));

    [Theory]
    [InlineData(0L)]
    [InlineData(-2L)]
    public void A_size_that_no_weight_could_have_is_an_error(long groupSize)
    {
        var error = Assert.Throws<QuantizationException>(() => GroupSizes.ReasonToSkip(groupSize, Facts(100)));

        Assert.Contains($"GroupSize is {groupSize}, expected a positive count", error.Message, StringComparison.Ordinal);
    }

    private static WeightFacts Facts(long inFeatures) => new(8, inFeatures, ScalarType.Float32, DeviceType.CPU);
}
