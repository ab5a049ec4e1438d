using System.Diagnostics;

namespace TorchAO.Runtime.Cpu;

/// <summary>Whether another process keeps threads of libtorch's pool from running: seen by how long they keep their caller waiting.</summary>
/// <remarks>
/// A pool that shares ranges out as they are asked for ends within a range's time after its caller has found none left. One that ends
/// much later waited for a thread that the system did not run. Then the pool is left alone for a while, and tried again.
/// </remarks>
internal static class Congestion
{
    // A core of another kind may take some times as long for a range.
    private const int LateRanges = 4;

    private static readonly long leastWait = Stopwatch.Frequency / 5_000; // 200 µs
    private static readonly long shortestPause = Stopwatch.Frequency / 5; // 200 ms
    private static readonly long longestPause = 2 * Stopwatch.Frequency;

    // Callers on several threads may overwrite each other's: either is a recent observation.
    private static long pause = shortestPause;
    private static long end = long.MinValue;

    /// <summary>Gets whether the pool of libtorch was late and has not been tried again.</summary>
    public static bool IsNear => Stopwatch.GetTimestamp() < Volatile.Read(ref end);

    /// <summary>Learns from one use of libtorch's pool.</summary>
    /// <param name="start">When the call began, as a timestamp.</param>
    /// <param name="callersEnd">When the caller found no range left.</param>
    /// <param name="callersRanges">How many ranges it had done.</param>
    /// <param name="returned">When the pool returned to it.</param>
    public static void Judge(long start, long callersEnd, long callersRanges, long returned)
    {
        if (!IsLate(start, callersEnd, callersRanges, returned))
        {
            Volatile.Write(ref pause, shortestPause);
            return;
        }

        long length = Volatile.Read(ref pause);
        Volatile.Write(ref pause, Math.Min(2 * length, longestPause));
        Volatile.Write(ref end, returned + length);
    }

    /// <summary>Says whether a thread must have been kept from running.</summary>
    internal static bool IsLate(long start, long callersEnd, long callersRanges, long returned)
    {
        long range = (callersEnd - start) / Math.Max(1, callersRanges);
        return callersRanges > 0 && returned - callersEnd > Math.Max(leastWait, LateRanges * range);
    }
}
