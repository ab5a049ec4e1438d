using System.Diagnostics;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Peers;

/// <summary>Times contestants in turns, so that what else the machine does meets all alike.</summary>
/// <remarks>
/// A turn: read a buffer larger than the last cache; wait until the threads of whoever ran before have gone to sleep; wake the
/// contestant's own by one untimed product with the first copy of the weight; time one product with the second.
/// A small weight stays in the cache in real use: there nothing is swept, and a turn times several products.
/// </remarks>
internal sealed class Turns(MemoryBandwidth memory, int rounds)
{
    private const long SmallWeight = 8 << 20; // bytes in float32
    private const double SmallTurnSeconds = 1e-3;
    private const int WarmUpPasses = 3;
    private const int WarmUpCalls = 40;
    private static readonly TimeSpan WarmUpTime = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan PatienceForOne = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan SettleTime = TimeSpan.FromMilliseconds(12);

    /// <summary>The fewest turns of a contestant that is too slow for all rounds.</summary>
    public const int FewestTurns = 5;

    /// <summary>Says whether a weight <c>[N, K]</c> is measured out of the cache.</summary>
    public static bool IsSmall(long n, long k) => 4 * n * k <= SmallWeight;

    /// <summary>Times all contestants.</summary>
    /// <param name="contestants">The contestants, prepared.</param>
    /// <param name="isSmall">Whether weights may come from the cache.</param>
    /// <returns>The seconds of one product, for each contestant and turn. A contestant that has taken twenty seconds and
    /// has had <see cref="FewestTurns"/> turns sits out the rest.</returns>
    public double[][] Time(IReadOnlyList<Contestant> contestants, bool isSmall)
    {
        List<double>[] seconds = [.. contestants.Select(_ => new List<double>(rounds))];
        TimeSpan[] spent = new TimeSpan[contestants.Count];
        WarmUp(contestants);
        int[] repeats = [.. contestants.Select(contestant => isSmall ? Repeats(contestant) : 1)];
        for (int round = 0; round < rounds; round++)
        {
            for (int place = 0; place < contestants.Count; place++)
            {
                int i = round % 2 == 0 ? place : contestants.Count - 1 - place; // nobody always follows the same neighbour
                if (spent[i] < PatienceForOne || seconds[i].Count < FewestTurns)
                {
                    long start = Stopwatch.GetTimestamp();
                    seconds[i].Add(Turn(contestants[i], isSmall, repeats[i]));
                    spent[i] += Stopwatch.GetElapsedTime(start);
                }
            }
        }

        return [.. seconds.Select(list => list.ToArray())];
    }

    // The runtime compiles a method again once it was called thirty times, some time after; both times must be over.
    private static void WarmUp(IReadOnlyList<Contestant> contestants)
    {
        for (int pass = 0; pass < WarmUpPasses; pass++)
        {
            foreach (Contestant contestant in contestants)
            {
                contestant.Wake();
                long start = Stopwatch.GetTimestamp();
                for (int call = 0; call < WarmUpCalls && Stopwatch.GetElapsedTime(start) < WarmUpTime; call++)
                {
                    contestant.Multiply(call % Contestant.Copies);
                }

                contestant.Rest();
            }

            Thread.Sleep(WarmUpTime);
        }
    }

    private double Turn(Contestant contestant, bool isSmall, int repeats)
    {
        if (!isSmall)
        {
            memory.Read();
        }

        Thread.Sleep(SettleTime);
        contestant.Wake();
        contestant.Multiply(0);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < repeats; i++)
        {
            contestant.Multiply(1);
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / repeats;
        contestant.Rest();
        return seconds;
    }

    private static int Repeats(Contestant contestant)
    {
        contestant.Wake();
        int calls = 0;
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < 10 * SmallTurnSeconds)
        {
            contestant.Multiply(1);
            calls++;
        }

        contestant.Rest();
        return Math.Max(1, calls / 10);
    }
}
