using System.Diagnostics;
using System.Globalization;
using TorchAO.Runtime.Cpu;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>
/// What sharing rows costs: work on all threads, by itself, right behind operators of libtorch, and beside busy processes:
/// <c>pool 0</c> or <c>pool 1</c> for one of them.
/// </summary>
internal static class PoolTable
{
    private const int Turns = 1000;
    private const int Rows = 64;

    public static void Run(int rivals)
    {
        Process[] busy = [.. Enumerable.Range(0, rivals).Select(_ => Process.Start("/bin/sh", ["-c", "while :; do :; done"]))];
        try
        {
            Measure();
        }
        finally
        {
            Array.ForEach(busy, process => process.Kill());
        }
    }

    private static void Measure()
    {
        using Tensor square = randn(512, 512);
        using Tensor large = randn(1 << 20);
        (string Name, Action Run)[] before =
        [
            ("by itself", () => { }),
            ("behind add_", () => large.add_(1e-9)),
            ("behind mm", () => square.mm(square).Dispose()),
            ("behind 1 ms", () => Thread.Sleep(1)),
        ];
        Console.WriteLine(CpuFeatures.Describe());
        Console.WriteLine($"work of one thread; microseconds with {ParallelRows.WorkerCount}: median (mean, 99th of 100) of {Turns}");
        foreach (int microseconds in new[] { 20, 100, 400, 2000 })
        {
            var job = new Work(microseconds * 1000 / Rows);
            Console.Write($"{microseconds,6} us");
            foreach ((string name, Action run) in before)
            {
                Console.Write($"  {name} {Times(run, job)}");
            }

            Console.WriteLine();
        }
    }

    private static string Times(Action before, Work job)
    {
        double[] times = new double[Turns];
        for (int turn = -Turns / 10; turn < Turns; turn++)
        {
            before();
            long start = Stopwatch.GetTimestamp();
            ParallelRows.Run(Rows, 1, job);
            if (turn >= 0)
            {
                times[turn] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            }
        }

        Array.Sort(times);
        return string.Create(
            CultureInfo.InvariantCulture, $"{times[Turns / 2]:0} ({times.Average():0}, {times[Turns * 99 / 100]:0})");
    }

    private readonly struct Work(int nanosecondsOfRow) : IRowJob
    {
        public void Run(long begin, long end)
        {
            long ticks = (end - begin) * nanosecondsOfRow * Stopwatch.Frequency / 1_000_000_000;
            for (long stop = Stopwatch.GetTimestamp() + ticks; Stopwatch.GetTimestamp() < stop;)
            {
                Thread.SpinWait(1);
            }
        }
    }
}
