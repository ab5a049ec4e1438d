using TorchAO.Runtime.Cpu;
using Xunit;

namespace TorchAO.Runtime.Tests.Cpu;

public sealed class MemoryBandwidthTests
{
    [Fact]
    public void Bytes_are_whole_lines()
    {
        using var memory = new MemoryBandwidth(1000);

        Assert.Equal(960, memory.Bytes);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(192)]
    [InlineData(1 << 20)]
    [InlineData((1 << 20) + 320)]
    public void A_measurement_gives_the_best_and_the_median_pass(long bytes)
    {
        using var memory = new MemoryBandwidth(bytes);

        (double best, double median) = memory.Measure(5);

        Assert.InRange(median, double.Epsilon, best);
        Assert.True(double.IsFinite(best));
    }

    [Fact]
    public void Nonsense_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new MemoryBandwidth(63));
        using var memory = new MemoryBandwidth(64);
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.Measure(0));
    }

    [Fact]
    public void After_disposing_nothing_is_read()
    {
        var memory = new MemoryBandwidth(64);
        memory.Dispose();
        memory.Dispose();

        Assert.Throws<ObjectDisposedException>(memory.Read);
        Assert.Throws<ObjectDisposedException>(() => memory.Measure(1));
    }
}
