using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Benchmarks;

/// <summary>Reads memory as fast as this machine can: the bound that a matrix-vector product is measured against.</summary>
internal sealed unsafe class MemoryBandwidth : IDisposable
{
    private const nuint Alignment = 64;

    private readonly byte* data;
    private readonly long lines;
    private readonly long* seen;

    /// <summary>Reserves memory and touches each page.</summary>
    public MemoryBandwidth(long bytes)
    {
        Bytes = bytes / (long)Alignment * (long)Alignment;
        lines = Bytes / (long)Alignment;
        data = (byte*)NativeMemory.AlignedAlloc((nuint)Bytes + Alignment, Alignment);
        NativeMemory.Fill(data, (nuint)Bytes + Alignment, 1);
        seen = (long*)(data + Bytes);
    }

    /// <summary>Gets how many bytes a pass reads.</summary>
    public long Bytes { get; }

    /// <summary>Reads all of it once, on all workers.</summary>
    public void Read()
    {
        ParallelRows.Run(lines, 1024, new Job { Data = data, Sum = seen });
        GC.KeepAlive(this);
    }

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.AlignedFree(data);

    private struct Job : IRowJob
    {
        public byte* Data;
        public long* Sum;

        // Eight independent streams of additions, one line each: the additions cost less than the loads.
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
