using TorchAO.Models.Llama;
using Xunit;

namespace TorchAO.Models.Tests.Llama;

public sealed class RopeScalingTests
{
    // Factors of the published Llama 3.1 configuration.
    private static readonly Llama3RopeScaling Scaling = new(8, 1, 4, 8192);

    [Fact]
    public void Linear_scaling_divides_all_frequencies() => Assert.Equal(0.125, new LinearRopeScaling(4).Apply(0.5));

    [Theory]
    [InlineData(100)]
    [InlineData(2047)]
    public void Llama3_keeps_fast_frequencies(double wavelength) =>
        Assert.Equal(2 * Math.PI / wavelength, Scaling.Apply(2 * Math.PI / wavelength), 15);

    [Theory]
    [InlineData(8193)]
    [InlineData(1e6)]
    public void Llama3_divides_slow_frequencies(double wavelength) =>
        Assert.Equal(2 * Math.PI / wavelength / 8, Scaling.Apply(2 * Math.PI / wavelength), 15);

    [Fact]
    public void Llama3_blends_between()
    {
        // 8192 / 2.5 has 2.5 turns, half way between 1 and 4.
        double frequency = 2 * Math.PI * 2.5 / 8192;
        Assert.Equal(((0.5 / 8) + 0.5) * frequency, Scaling.Apply(frequency), 12);
    }
}
