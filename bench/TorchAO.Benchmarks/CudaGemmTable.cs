using System.Diagnostics;
using System.Globalization;
using System.Text;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Runtime.Cuda;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>Measures products of many activation rows on a GPU: libtorch in bfloat16, and the kernels that the library chooses.</summary>
/// <remarks>Weights are copied until they are more than the second-level cache holds, and calls go round the copies. Time is that of events
/// on the device around a round of calls, so that it is the device's where a call is longer than it takes to give it.</remarks>
internal static class CudaGemmTable
{
    private const int Turns = 9;
    private const int LeastCalls = 24;
    private const long CacheBytes = 120_000_000;

    private static readonly (string Name, QuantizeConfig Config)[] Configs =
    [
        ("int4, groups of 128", new Int4WeightOnlyConfig { GroupSize = 128 }),
        ("int4, rounded activations", new Int8DynamicActivationInt4WeightConfig { GroupSize = 128 }),
        ("int8", new Int8WeightOnlyConfig()),
        ("int8, rounded activations", new Int8DynamicActivationInt8WeightConfig()),
        ("float8", new Float8WeightOnlyConfig()),
        ("float8, rounded activations", new Float8DynamicActivationFloat8WeightConfig { Granularity = Float8Granularity.PerRow }),
    ];

    /// <summary>Measures and returns the page.</summary>
    public static string Measure(string command, string commit, long[] rows, (long N, long K)[] shapes)
    {
        CudaDevice device = CudaDevice.Get(0);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # Products of many rows on a GPU

            Activations [M, K] in bfloat16 times a weight [N, K], as a .NET program calls them: microseconds a call, the median of {Turns} rounds,
            and how many times as fast as libtorch's product in bfloat16. Weights come from memory, not from cache. Below about 30 µs a round is
            bound by the host that gives the calls.

            | | |
            | --- | --- |
            | device | {device} |
            | date | {DateTimeOffset.UtcNow:yyyy-MM-dd} |
            | commit | {commit} |
            | command | `{command}` |

            """);
        AppendConversions(text, device, shapes[^1].N, shapes[^1].K);
        foreach ((long n, long k) in shapes)
        {
            AppendTable(text, device, rows, n, k);
        }

        return text.ToString();
    }

    private static void AppendTable(StringBuilder text, CudaDevice device, long[] rows, long n, long k)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = (randn([n, k], device: CUDA) * 0.02).to(ScalarType.BFloat16);
        Tensor[] copies = [.. Enumerable.Range(0, Copies(2 * n * k)).Select(_ => weight.clone())];
        var times = new SortedDictionary<long, List<string>>();
        var baselines = new Dictionary<long, double>();
        foreach (long m in rows)
        {
            Tensor input = randn([m, k], device: CUDA).to(ScalarType.BFloat16);
            baselines[m] = Time(device, copies.Length, i => nn.functional.linear(input, copies[i]).Dispose());
            times[m] = [string.Create(CultureInfo.InvariantCulture, $"{baselines[m]:0.0}")];
        }

        foreach ((_, QuantizeConfig config) in Configs)
        {
            IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
            QuantizedTensor quantized = handler.Quantize(weight, config);
            IFormat format = BuiltInFormats.Catalog.Format(quantized.Format);
            LinearExecutor[] executors = [.. Enumerable.Range(0, Copies(quantized.Bytes))
                .Select(_ => format.CreateExecutor(quantized.To(CUDA), null, handler.Activation(config)))];
            foreach (long m in rows)
            {
                using Tensor input = randn([m, k], device: CUDA).to(ScalarType.BFloat16);
                double time = Time(device, executors.Length, i => executors[i].Forward(input, null).Dispose());
                string kernel = executors[0].Explain(m, ScalarType.BFloat16).Kernel;
                times[m].Add(string.Create(
                    CultureInfo.InvariantCulture, $"{time:0.0} ({baselines[m] / time:0.00} ×, `{kernel.Split('.')[^1]}`)"));
            }

            Array.ForEach(executors, executor => executor.Dispose());
            quantized.Dispose();
        }

        text.Append(CultureInfo.InvariantCulture, $"\n## [{n}, {k}]\n\n| M | bfloat16 | {string.Join(" | ", Configs.Select(config => config.Name))} |\n");
        text.Append(CultureInfo.InvariantCulture, $"| --- |{string.Concat(Enumerable.Repeat(" --- |", Configs.Length + 1))}\n");
        foreach ((long m, List<string> cells) in times)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {m} | {string.Join(" | ", cells)} |\n");
        }
    }

    // The weight's own bytes in bfloat16, read once, by the time that the whole of quantizing takes; and the same back.
    private static void AppendConversions(StringBuilder text, CudaDevice device, long n, long k)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n## Quantizing and dequantizing [{n}, {k}]\n\n| weight | quantize, GB/s of bfloat16 | to bfloat16, GB/s of bfloat16 |\n| --- | --- | --- |\n");
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = (randn([n, k], device: CUDA) * 0.02).to(ScalarType.BFloat16);
        foreach ((string name, QuantizeConfig config) in Configs.Where(config => !config.Name.Contains("rounded", StringComparison.Ordinal)))
        {
            IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
            using QuantizedTensor quantized = handler.Quantize(weight, config);
            using LinearExecutor executor = BuiltInFormats.Catalog.Format(quantized.Format).CreateExecutor(
                quantized.To(CUDA), $"{quantized.Format}.cuda.dequantize");
            using Tensor row = randn([1, k], device: CUDA).to(ScalarType.BFloat16), exact = quantized.Dequantize();
            double quantizing = Time(device, 1, _ => handler.Quantize(weight, config).Dispose());

            // A product of one row costs what reading the values costs, and is taken off.
            double both = Time(device, 1, _ => executor.Forward(row, null).Dispose());
            double product = Time(device, 1, _ => nn.functional.linear(row, exact).Dispose());
            double bytes = 2.0 * n * k;
            text.Append(CultureInfo.InvariantCulture, $"| {name} | {bytes / quantizing / 1e3:0} | {bytes / (both - product) / 1e3:0} |\n");
        }
    }

    private static int Copies(long bytes) => (int)Math.Max(1, (CacheBytes + bytes - 1) / bytes);

    // Microseconds a call: the median of some rounds, each long enough to hide what an event costs.
    private static double Time(CudaDevice device, int copies, Action<int> call)
    {
        CudaStream stream = CudaStream.Current(device);
        using CudaEvent start = CudaEvent.Create(device, isTiming: true), end = CudaEvent.Create(device, isTiming: true);
        int calls = (LeastCalls + copies - 1) / copies * copies;
        var times = new List<double>();
        for (int turn = -2; turn < Turns; turn++)
        {
            start.Record(stream);
            for (int i = 0; i < calls; i++)
            {
                call(i % copies);
            }

            end.Record(stream);
            end.Synchronize();
            if (turn >= 0)
            {
                times.Add(1000 * CudaEvent.Milliseconds(start, end) / calls);
            }
        }

        times.Sort();
        Debug.Assert(times.Count == Turns);
        return times[Turns / 2];
    }
}
