using TorchAO.Runtime.Cpu;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Cpu;

public sealed class ParallelRowsTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(7, 3)]
    [InlineData(10, 3)]
    [InlineData(1000, 1)]
    [InlineData(1001, 999)]
    [InlineData(5, long.MaxValue)]
    public void Each_row_is_done_once_and_the_minimum_bounds_the_ranges(long rows, long minimum)
    {
        int ranges = 0;
        int[] visits = new int[rows];
        ParallelRows.Run(rows, minimum, (begin, end) =>
        {
            Interlocked.Increment(ref ranges);
            for (long row = begin; row < end; row++)
            {
                Interlocked.Increment(ref visits[row]);
            }
        });
        Assert.All(visits, count => Assert.Equal(1, count));
        Assert.True(ranges <= (rows / minimum) + (rows % minimum == 0 ? 0 : 1), $"{ranges} ranges"); // the last may be shorter
    }

    [Fact]
    public void There_are_more_ranges_than_threads_so_that_nobody_waits_for_a_late_one()
    {
        Assert.SkipUnless(ParallelRows.WorkerCount > 1, "one thread does all rows in one range");
        int ranges = 0;
        ParallelRows.Run(1000, 1, (_, _) => Interlocked.Increment(ref ranges));
        Assert.InRange(ranges, 2 * ParallelRows.WorkerCount, 8 * ParallelRows.WorkerCount);
    }

    [Fact]
    public void A_worker_that_is_held_up_leaves_its_rows_to_the_others()
    {
        Assert.SkipUnless(ParallelRows.WorkerCount == 2, "counts what is left for the second of two threads");
        int done = 0, seenByFirst = 0;
        ParallelRows.Run(160, 1, (begin, end) =>
        {
            if (begin == 0)
            {
                SpinWait.SpinUntil(() => Volatile.Read(ref done) >= 140, TimeSpan.FromSeconds(30));
                seenByFirst = Volatile.Read(ref done);
            }

            Interlocked.Add(ref done, (int)(end - begin));
        });
        Assert.Equal(160, done);
        Assert.True(seenByFirst >= 140, $"only {seenByFirst} rows were done while the first worker waited");
    }

    [Fact]
    public void One_torch_thread_means_one_range_on_the_callers_thread()
    {
        int threads = get_num_threads();
        int caller = Environment.CurrentManagedThreadId;
        try
        {
            set_num_threads(1);
            int ranges = 0;
            ParallelRows.Run(1000, 1, (_, _) =>
            {
                ranges++;
                Assert.Equal(caller, Environment.CurrentManagedThreadId);
            });
            Assert.Equal(1, ranges);
            Assert.Equal(1, ParallelRows.WorkerCount);
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void An_exception_of_any_worker_reaches_the_caller_and_the_pool_lives_on()
    {
        for (long bad = 0; bad < 100; bad += 99)
        {
            InvalidOperationException error = Assert.Throws<InvalidOperationException>(
                () => ParallelRows.Run(100, 1, (begin, end) => FailAt(bad, begin, end)));
            Assert.Equal($"row {bad}", error.Message);
            Assert.Contains(nameof(FailAt), error.StackTrace, StringComparison.Ordinal);
        }

        Each_row_is_done_once_and_the_minimum_bounds_the_ranges(100, 1);
    }

    [Fact]
    public void A_call_inside_a_worker_covers_its_rows_too()
    {
        long sum = 0;
        ParallelRows.Run(4, 1, (begin, end) =>
        {
            for (long row = begin; row < end; row++)
            {
                ParallelRows.Run(10, 1, (b, e) => Interlocked.Add(ref sum, e - b));
            }
        });
        Assert.Equal(40, sum);
    }

    [Fact]
    public async Task Callers_on_several_threads_do_not_disturb_each_other()
    {
        int[] sums = new int[4];
        Task[] tasks = [.. Enumerable.Range(0, sums.Length).Select(i => Task.Run(() =>
        {
            for (int repeat = 0; repeat < 50; repeat++)
            {
                ParallelRows.Run(64, 1, (begin, end) => Interlocked.Add(ref sums[i], (int)(end - begin)));
            }
        }))];
        await Task.WhenAll(tasks);
        Assert.All(sums, sum => Assert.Equal(50 * 64, sum));
    }

    [Fact]
    public void A_struct_job_allocates_nothing()
    {
        float[] data = new float[256];
        var job = new Increment(data);
        ParallelRows.Run(data.Length, 1, job);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            ParallelRows.Run(data.Length, 1, job);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.All(data, value => Assert.Equal(101, value));
    }

    [Fact]
    public void Impossible_counts_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => ParallelRows.Run(-1, 1, (_, _) => { }));
        Assert.Throws<ArgumentOutOfRangeException>(() => ParallelRows.Run(1, 0, (_, _) => { }));
    }

    private static void FailAt(long bad, long begin, long end)
    {
        if (begin <= bad && bad < end)
        {
            throw new InvalidOperationException($"row {bad}");
        }
    }

    private readonly struct Increment(float[] data) : IRowJob
    {
        public void Run(long begin, long end)
        {
            for (long row = begin; row < end; row++)
            {
                data[row]++;
            }
        }
    }
}
