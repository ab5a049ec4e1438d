using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class RoundingTests
{
    [Theory]
    [InlineData(0.5f, 0f)]
    [InlineData(1.5f, 2f)]
    [InlineData(2.5f, 2f)]
    [InlineData(-0.5f, 0f)]
    [InlineData(-1.5f, -2f)]
    [InlineData(2.5000002f, 3f)]
    public void Ties_go_to_the_even_integer(float value, float expected) =>
        Assert.Equal(expected, Rounding.NearestEven(value));

    [Fact]
    public void Stochastic_rounding_leaves_integers_alone()
    {
        for (int value = -300; value <= 300; value++)
        {
            Assert.Equal(value, Rounding.Stochastic(value, 0));
            Assert.Equal(value, Rounding.Stochastic(value, uint.MaxValue));
        }
    }

    [Fact]
    public void Stochastic_rounding_is_right_on_average()
    {
        const int draws = 200_000;
        const ulong seed = 4711;
        CounterRandom random = new(seed);
        foreach (float value in new[] { 0.1f, -0.1f, 7.75f, -100.3f, 1e-6f })
        {
            double sum = 0;
            for (int i = 0; i < draws; i++)
            {
                sum += Rounding.Stochastic(value, random[(ulong)i]);
            }

            double share = value - Math.Floor(value);
            double sigma = Math.Sqrt(share * (1 - share) / draws);
            Assert.True(Math.Abs(sum / draws - value) < 5 * sigma, $"seed {seed}: {value:R} became {sum / draws:R}");
        }
    }

    [Fact]
    public void What_is_not_finite_stays()
    {
        Assert.True(float.IsNaN(Rounding.Stochastic(float.NaN, 5)));
        Assert.Equal(float.PositiveInfinity, Rounding.Stochastic(float.PositiveInfinity, 5));
        Assert.Equal(float.NegativeInfinity, Rounding.Stochastic(float.NegativeInfinity, 5));
    }
}
