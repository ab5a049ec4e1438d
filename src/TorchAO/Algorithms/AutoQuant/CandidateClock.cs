using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>Times several ways to compute the same product against each other.</summary>
/// <remarks>
/// The ways take turns, so that a neighbour's load falls on all of them alike, and the median of the turns counts. Where the
/// model's weights do not fit into the last cache, each turn begins with a cache that holds something else: a layer of a large
/// model never finds its weight there, and a candidate must not look fast because the measurement did.
/// </remarks>
internal sealed class CandidateClock : IDisposable
{
    private const int WarmUpCalls = 30; // after as many calls the runtime compiles a method with its optimizer
    private const int LeastTurns = 5;
    private const int MostTurns = 25;
    private const double WarmUpMilliseconds = 100;
    private const double TurnMilliseconds = 2;
    private const long UsualCacheBytes = 32L << 20;

    private readonly Device device;
    private readonly Tensor? other;

    /// <summary>Creates a clock.</summary>
    /// <param name="device">Where the products run.</param>
    /// <param name="modelBytes">The weights that the model reads at each step.</param>
    public CandidateClock(Device device, long modelBytes)
    {
        this.device = device;
        long cache = LastCacheBytes();
        IsCold = modelBytes > cache;
        other = IsCold ? empty(2 * cache, dtype: ScalarType.Int8, device: device).DetachFromDisposeScope() : null;
    }

    /// <summary>Gets whether weights come from memory at each call, as in a model larger than the cache.</summary>
    public bool IsCold { get; }

    /// <summary>Measures.</summary>
    /// <param name="ways">What to time; each returns a tensor that is disposed.</param>
    /// <param name="measuring">How long each is measured.</param>
    /// <param name="cancellation">Stops between two turns.</param>
    /// <returns>Milliseconds a call, by way.</returns>
    public double[] Measure(IReadOnlyList<Func<Tensor>> ways, TimeSpan measuring, CancellationToken cancellation)
    {
        int[] callsATurn = new int[ways.Count];
        int turns = MostTurns;
        for (int i = 0; i < ways.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            double once = WarmUp(ways[i]);
            callsATurn[i] = IsCold ? 1 : (int)Math.Clamp(TurnMilliseconds / once, 1, 1000);
            turns = Math.Min(turns, (int)Math.Clamp(measuring.TotalMilliseconds / (once * callsATurn[i]), LeastTurns, MostTurns));
        }

        double[][] times = [.. ways.Select(_ => new double[turns])];
        for (int turn = 0; turn < turns; turn++)
        {
            for (int i = 0; i < ways.Count; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                int way = turn % 2 == 0 ? i : ways.Count - 1 - i; // nobody always follows the same neighbour
                times[way][turn] = Time(ways[way], callsATurn[way]);
            }
        }

        return [.. times.Select(Median)];
    }

    /// <summary>Disposes what displaces the weights.</summary>
    public void Dispose() => other?.Dispose();

    private double WarmUp(Func<Tensor> way)
    {
        Time(way, 1);
        double fastest = double.MaxValue;
        long begin = Stopwatch.GetTimestamp();
        for (int call = 1; call < WarmUpCalls && (call < 3 || Stopwatch.GetElapsedTime(begin).TotalMilliseconds < WarmUpMilliseconds); call++)
        {
            fastest = Math.Min(fastest, Time(way, 1));
        }

        return fastest;
    }

    private double Time(Func<Tensor> way, int calls)
    {
        other?.zero_(); // returns the same object
        Synchronize();

        long begin = Stopwatch.GetTimestamp();
        for (int i = 0; i < calls; i++)
        {
            way().Dispose();
        }

        Synchronize();
        return Math.Max(Stopwatch.GetElapsedTime(begin).TotalMilliseconds, 1e-6) / calls;
    }

    private void Synchronize()
    {
        if (device.type == DeviceType.CUDA)
        {
            cuda.synchronize(device);
        }
    }

    private static double Median(double[] times)
    {
        Array.Sort(times);
        return times[times.Length / 2];
    }

    // Linux says it; elsewhere a usual size decides. A GPU's last cache is of the same order.
    private static long LastCacheBytes()
    {
        const string Size = "/sys/devices/system/cpu/cpu0/cache/index3/size";
        return File.Exists(Size)
            && long.TryParse(File.ReadAllText(Size).Trim().TrimEnd('K'), CultureInfo.InvariantCulture, out long kilobytes)
            ? kilobytes << 10
            : UsualCacheBytes;
    }
}
