using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Runtime.Cpu;

/// <summary>Reads memory as fast as this machine can: the bound that a matrix-vector product is measured against.</summary>
/// <remarks>Benchmarks also use it to empty the caches of other data: pass more bytes than the last cache has. Not thread-safe.</remarks>
public sealed unsafe class MemoryBandwidth : IDisposable
{
    /// <summary>More bytes than the caches of any processor in common use have.</summary>
    public const long DefaultBytes = 512L << 20;

    private const nuint Alignment = 64;

    private readonly byte* data;
    private readonly long lines;
    private readonly long* seen;
    private bool isDisposed;

    /// <summary>Reserves memory and touches each page.</summary>
    /// <param name="bytes">How many bytes a pass reads, rounded down to lines of 64.</param>
    /// <exception cref="ArgumentOutOfRangeException">Not one line.</exception>
    /// <exception cref="OutOfMemoryException">So much memory is not to be had.</exception>
    public MemoryBandwidth(long bytes = DefaultBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, (long)Alignment);
        Bytes = bytes / (long)Alignment * (long)Alignment;
        lines = Bytes / (long)Alignment;
        data = (byte*)NativeMemory.AlignedAlloc((nuint)Bytes + Alignment, Alignment);
        NativeMemory.Fill(data, (nuint)Bytes + Alignment, 1);
        seen = (long*)(data + Bytes);
    }

    /// <summary>Frees the memory where <see cref="Dispose"/> was not called.</summary>
    ~MemoryBandwidth() => Free();

    /// <summary>Gets how many bytes a pass reads.</summary>
    public long Bytes { get; }

    /// <summary>Reads all of it once, on all workers of <see cref="ParallelRows"/>.</summary>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public void Read()
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        ParallelRows.Run(lines, 1024, new Job { Data = data, Sum = seen });
        GC.KeepAlive(this);
    }

    /// <summary>Measures the rate of reading.</summary>
    /// <param name="passes">How many passes are timed, at least one; one more comes before.</param>
    /// <returns>The best and the median pass, in 10⁹ bytes a second.</returns>
    /// <exception cref="ArgumentOutOfRangeException">No pass.</exception>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public (double BestGigabytesPerSecond, double MedianGigabytesPerSecond) Measure(int passes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(passes);
        Read();
        double[] rates = new double[passes];
        for (int i = 0; i < passes; i++)
        {
            long start = Stopwatch.GetTimestamp();
            Read();
            long ticks = Math.Max(Stopwatch.GetTimestamp() - start, 1); // a few lines can be faster than the clock
            rates[i] = (double)Bytes * Stopwatch.Frequency / ticks / 1e9;
        }

        Array.Sort(rates);
        return (rates[^1], rates[passes / 2]);
    }

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (!isDisposed)
        {
            isDisposed = true;
            NativeMemory.AlignedFree(data);
        }
    }

    private struct Job : IRowJob
    {
        public byte* Data;
        public long* Sum;

        // Four independent streams of additions, one line each: the additions cost less than the loads.
        public readonly void Run(long begin, long end)
        {
            Vector512<long> a = default, b = default, c = default, d = default;
            byte* at = Data + (begin * 64), stop = Data + (end * 64);
            for (; at + 256 <= stop; at += 256)
            {
                a += Vector512.Load((long*)at);
                b += Vector512.Load((long*)(at + 64));
                c += Vector512.Load((long*)(at + 128));
                d += Vector512.Load((long*)(at + 192));
            }

            Interlocked.Add(ref *Sum, Vector512.Sum(a + b + c + d));
        }
    }
}
