using TorchAO.Kernels.Cuda.Gemm;
using Xunit;

namespace TorchAO.Tests.Kernels.Cuda.Gemm;

public sealed class GemmShapeTests
{
    private static readonly double[] Costs = [0.3, 0.33, 0.45, 0.73];

    [Fact]
    public void A_weight_with_few_tiles_is_split_along_K_and_one_with_many_is_not()
    {
        Assert.True(GemmShape.Choose(16, 4096, 64, Costs, 132).Splits > 1);
        Assert.Equal(1, GemmShape.Choose(4096, 14336, 64, Costs, 132).Splits);
    }

    [Theory]
    [InlineData(1, 32)]
    [InlineData(4096, 256)]
    public void Tiles_are_as_wide_as_the_rows(long rows, int tokens)
        => Assert.Equal(tokens, GemmShape.Choose(rows, 14336, 64, Costs, 132).Tokens);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(8)]
    public void No_block_of_a_split_is_without_steps(int steps)
        => Assert.InRange(GemmShape.Choose(1, 128, steps, Costs, 132).Splits, 1, steps);
}
