using System.Diagnostics;
using TorchAO.Runtime.Cpu;
using Xunit;

namespace TorchAO.Runtime.Tests.Cpu;

public sealed class CongestionTests
{
    [Theory]
    [InlineData(400, 8, 20, false)] // the last range of another
    [InlineData(400, 8, 190, false)] // too short to matter
    [InlineData(400, 8, 8000, true)]
    [InlineData(100_000, 8, 12_000, false)] // one range is as long
    [InlineData(100_000, 8, 40_000, false)] // a slower core
    [InlineData(100_000, 8, 60_000, true)]
    [InlineData(5, 0, 8000, false)] // others did all, and may still be at it
    public void A_pool_is_late_if_it_ends_much_more_than_a_range_behind_its_caller(int microseconds, int ranges, int wait, bool isLate)
    {
        long start = Stopwatch.GetTimestamp(), end = start + Ticks(microseconds);
        Assert.Equal(isLate, Congestion.IsLate(start, end, ranges, end + Ticks(wait)));
    }

    [Fact]
    public void Rows_are_done_once_and_failures_come_back_while_the_pool_of_libtorch_is_left_alone()
    {
        BeLate();
        Assert.True(Congestion.IsNear);
        int[] visits = new int[1000];
        ParallelRows.Run(visits.Length, 1, (begin, end) =>
        {
            for (long row = begin; row < end; row++)
            {
                Interlocked.Increment(ref visits[row]);
            }
        });
        Assert.All(visits, count => Assert.Equal(1, count));

        BeLate();
        ArithmeticException error = Assert.Throws<ArithmeticException>(
            () => ParallelRows.Run(100, 1, (_, _) => throw new ArithmeticException("of a range")));
        Assert.Equal("of a range", error.Message);
    }

    [Fact]
    public void The_pool_of_libtorch_is_tried_again()
    {
        BeLate();
        Assert.True(SpinWait.SpinUntil(() => !Congestion.IsNear, TimeSpan.FromSeconds(30)));
    }

    private static void BeLate()
    {
        long now = Stopwatch.GetTimestamp();
        Congestion.Judge(now - Ticks(10_000), now - Ticks(9_000), 8, now);
    }

    private static long Ticks(int microseconds) => microseconds * Stopwatch.Frequency / 1_000_000;
}
