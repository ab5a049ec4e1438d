using System.Globalization;
using System.Text;
using TorchAO.Peers.Ggml;
using TorchAO.Peers.Libtorch;
using TorchAO.Peers.Onnx;
using TorchAO.Runtime.Cpu;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Peers;

/// <summary>Measures linear products of this library and of its peers in one process, in turns, and writes the page.</summary>
internal static class LinearPage
{
    /// <summary>A product of 4-bit weights has about 20 dB; below this, something other than the product was computed.</summary>
    private const double LeastDecibels = 14;

    private const int BandwidthPasses = 41;

    // Who is compared with whom: the name of ours, and how the peers' names begin, of which the fastest counts.
    private static readonly (string Ours, string Peer, string[] Names)[] Pairs =
    [
        ("int4 g128", "libtorch int4pack", ["libtorch int4pack"]),
        ("int4 g128", "ORT MatMulNBits g128, level 0", ["ORT MatMulNBits g128, level 0"]),
        ("int4 g32", "ORT MatMulNBits g32, level 0", ["ORT MatMulNBits g32, level 0"]),
        ("bfloat16 weight", "libtorch bfloat16", ["libtorch bfloat16"]),
        ("W4A8 g32", "ggml, the best of its 4-bit types", ["ggml Q4"]),
        ("W4A8 g32", "ORT MatMulNBits g32, level 4", ["ORT MatMulNBits g32, level 4"]),
        ("W4A8 g128", "ORT MatMulNBits g128, level 4", ["ORT MatMulNBits g128, level 4"]),
        ("W4A8 g32", "libtorch _int_mm alone", ["libtorch _int_mm, weight"]),
        ("W8A8", "ggml Q8_0", ["ggml Q8_0"]),
        ("W8A8", "ORT DynamicQuantizeMatMul", ["ORT DynamicQuantizeMatMul"]),
        ("W8A8", "libtorch's best 8-bit product with quantizing", ["libtorch _int_mm, quantizing", "libtorch onednn qlinear, quantizing"]),
        ("W8A8", "libtorch _int_mm alone", ["libtorch _int_mm, weight"]),
        ("int8", "libtorch float32", ["libtorch float32"]),
        ("int4 g128", "libtorch float32", ["libtorch float32"]),
        ("W8A8", "libtorch float32", ["libtorch float32"]),
        ("W4A8 g32", "libtorch float32", ["libtorch float32"]),
    ];

    /// <summary>Measures and returns the page.</summary>
    public static string Measure(LinearOptions options, string command)
    {
        IPeer[] peers = [new OwnConfigs(), new LibtorchPeer(), new OnnxRuntimePeer(), new GgmlPeer()];
        using var memory = new MemoryBandwidth();
        (double best, double median) = memory.Measure(BandwidthPasses);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # Linear products, side by side

            M rows of float32 activations times a weight [N, K], transposed. All contestants run in one process and in turns:
            memory is swept, the contestant's threads are woken by one product with a copy of the weight, and the product with
            another copy is timed. Weights of 8 MB in float32 and less stay in the cache, as they do in use. Each result was
            compared with the float32 product at every M; dB is the lowest signal-to-noise ratio.

            | | |
            | --- | --- |
            | processor | {CpuFeatures.Describe()} |
            | date | {DateTimeOffset.UtcNow:yyyy-MM-dd} |
            | commit | {SourceTree.Commit()} |
            | command | `{command}` |
            | read bandwidth | {best:0.0} GB/s, the best of {BandwidthPasses} passes over {memory.Bytes >> 20} MiB (median {median:0.0}) |
            | threads | {ParallelRows.WorkerCount}, for every contestant |
            | turns | {options.Rounds}; a contestant that took twenty seconds stops before, after {Turns.FewestTurns} at least |

            """);
        text.Append('\n');
        foreach (IPeer peer in peers)
        {
            string state = peer.Absence is { } reason ? $"**absent**: {reason}" : "takes part";
            text.Append(CultureInfo.InvariantCulture, $"- {peer.Name}: {state}\n");
        }

        IPeer[] present = [.. peers.Where(peer => peer.Absence is null)];
        foreach ((long n, long k) in options.Shapes)
        {
            AppendShape(text, present, options, memory, n, k, best);
        }

        return text.ToString();
    }

    private static void AppendShape(
        StringBuilder text, IPeer[] peers, LinearOptions options, MemoryBandwidth memory, long n, long k, double bandwidth)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        Tensor weight = randn(n, k);
        Contestant[] contestants = Enter(peers, options, weight);
        double[] decibels = [.. contestants.Select(_ => double.PositiveInfinity)];
        var turns = new Turns(memory, options.Rounds);
        double[][][] seconds = new double[options.Rows.Count][][];
        for (int column = 0; column < options.Rows.Count; column++)
        {
            using Tensor input = randn(options.Rows[column], k);
            using Tensor expected = nn.functional.linear(input, weight);
            for (int i = 0; i < contestants.Length; i++)
            {
                contestants[i].Prepare(input);
                decibels[i] = Math.Min(decibels[i], Quality(contestants[i], expected));
            }

            seconds[column] = turns.Time(contestants, Turns.IsSmall(n, k));
            Console.Error.WriteLine($"[{n}, {k}], M = {options.Rows[column]} measured");
        }

        text.Append(CultureInfo.InvariantCulture, $"\n## [{n}, {k}]\n\nMilliseconds: the median, and the best in brackets.\n");
        foreach (Arithmetic arithmetic in Enum.GetValues<Arithmetic>())
        {
            AppendTimes(text, contestants, arithmetic, options, seconds, decibels, bandwidth);
        }

        AppendRatios(text, contestants, options, seconds);
        foreach (Contestant contestant in contestants)
        {
            contestant.Dispose();
        }
    }

    private static Contestant[] Enter(IPeer[] peers, LinearOptions options, Tensor weight)
    {
        var contestants = new List<Contestant>();
        foreach (Contestant contestant in peers.SelectMany(peer => peer.Enter(weight, ParallelRows.WorkerCount)))
        {
            if (options.Takes(contestant.Name))
            {
                contestants.Add(contestant);
            }
            else
            {
                contestant.Dispose();
            }
        }

        return [.. contestants];
    }

    // 10 log10 of the power of the float32 product over the power of the difference.
    private static double Quality(Contestant contestant, Tensor expected)
    {
        using DisposeScope scope = NewDisposeScope();
        contestant.Wake();
        Tensor result = contestant.Result();
        contestant.Rest();
        double signal = expected.square().sum().ToDouble(), noise = (result - expected).square().sum().ToDouble();
        double decibels = 10 * Math.Log10(signal / noise);
        return decibels >= LeastDecibels ? decibels : throw new InvalidOperationException(
            string.Create(CultureInfo.InvariantCulture, $"{contestant.Name}: the product of [{expected.size(0)}, K] activations is ") +
            string.Create(CultureInfo.InvariantCulture, $"{decibels:0.0} dB from the float32 product, expected {LeastDecibels} at least; ") +
            "it computes something else, so its time would mean nothing.");
    }

    private static void AppendTimes(
        StringBuilder text, Contestant[] contestants, Arithmetic arithmetic, LinearOptions options, double[][][] seconds,
        double[] decibels, double bandwidth)
    {
        if (contestants.All(contestant => contestant.Arithmetic != arithmetic))
        {
            return;
        }

        text.Append(CultureInfo.InvariantCulture, $"\n### {Heading(arithmetic)}\n\n");
        text.Append(CultureInfo.InvariantCulture, $"| contestant | MB | dB | GB/s at M = {options.Rows[0]} | share of read |");
        text.Append(string.Concat(options.Rows.Select(m => $" M = {m} |"))).Append('\n');
        text.Append("| --- | --- | --- | --- | --- |").Append(string.Concat(options.Rows.Select(_ => " --- |"))).Append('\n');
        for (int i = 0; i < contestants.Length; i++)
        {
            if (contestants[i].Arithmetic != arithmetic)
            {
                continue;
            }

            double rate = contestants[i].Bytes / Median(seconds[0][i]) / 1e9;
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {contestants[i].Name} | {contestants[i].Bytes / 1e6:0.0} | {decibels[i]:0} | {rate:0.0} | {rate / bandwidth:0.00} |");
            foreach (double[][] column in seconds)
            {
                text.Append(CultureInfo.InvariantCulture, $" {Milliseconds(Median(column[i]))} ({Milliseconds(column[i].Min())}) |");
            }

            text.Append('\n');
        }
    }

    private static void AppendRatios(StringBuilder text, Contestant[] contestants, LinearOptions options, double[][][] seconds)
    {
        var rows = new StringBuilder();
        foreach ((string name, string peer, string[] starts) in Pairs)
        {
            int ours = Array.FindIndex(contestants, contestant => contestant.Name == OwnConfigs.Prefix + name);
            int[] theirs =
            [
                .. Enumerable.Range(0, contestants.Length).Where(
                    i => starts.Any(start => contestants[i].Name.StartsWith(start, StringComparison.Ordinal))),
            ];
            if (ours >= 0 && theirs.Length > 0)
            {
                rows.Append(CultureInfo.InvariantCulture, $"| {name} | {peer} |");
                foreach (double[][] column in seconds)
                {
                    double ratio = theirs.Min(i => Median(column[i])) / Median(column[ours]);
                    rows.Append(CultureInfo.InvariantCulture, $" {ratio:0.00} |");
                }

                rows.Append('\n');
            }
        }

        if (rows.Length > 0)
        {
            text.Append("\n### How many times faster ours is (medians)\n\n| ours | peer |");
            text.Append(string.Concat(options.Rows.Select(m => $" M = {m} |"))).Append("\n| --- | --- |");
            text.Append(string.Concat(options.Rows.Select(_ => " --- |"))).Append('\n').Append(rows);
        }
    }

    private static string Heading(Arithmetic arithmetic) => arithmetic switch
    {
        Arithmetic.FloatActivations => "Activations in floating point",
        Arithmetic.Int8Activations => "Activations rounded to 8 bits within the time",
        _ => "The integer product alone: activations rounded before, sums not scaled",
    };

    private static string Milliseconds(double seconds) =>
        (1e3 * seconds).ToString(seconds < 1e-4 ? "0.0000" : seconds < 1e-2 ? "0.00" : "0.0", CultureInfo.InvariantCulture);

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
