using Xunit;

namespace TorchAO.Tests;

public sealed class NearNamesTests
{
    private static readonly string[] Known = ["layers.0.q_proj", "layers.0.k_proj", "layers.1.q_proj", "lm_head", "norm"];

    [Fact]
    public void The_nearest_names_come_first_and_equal_distances_in_order_of_the_alphabet() =>
        Assert.Equal("'layers.0.q_proj', 'layers.0.k_proj', 'layers.1.q_proj'", NearNames.List("layers.0.qproj", Known));

    [Fact]
    public void A_list_of_nothing_says_none() => Assert.Equal("none", NearNames.List("lm_head", []));

    [Fact]
    public void Far_names_are_left_out_where_only_near_ones_help()
    {
        Assert.Equal(["lm_head"], NearNames.Of("lmhead", Known));
        Assert.Empty(NearNames.Of("embedding", Known));
    }
}
