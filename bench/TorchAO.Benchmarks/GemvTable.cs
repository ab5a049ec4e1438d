using System.Diagnostics;
using System.Globalization;
using System.Text;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.BitNet;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Half;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.Mx;
using TorchAO.Formats.Nf4;
using TorchAO.Formats.UIntX;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Runtime.Cpu;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>Measures one activation row times a weight that no cache holds, which is what decoding a token does.</summary>
/// <remarks>
/// The variants run in turns, one call each, so that what else the machine does meets all alike. Before each call a buffer is
/// read that is larger than the last cache; a weight therefore always comes from memory. The table has the median and
/// the best of all turns.
/// </remarks>
internal static class GemvTable
{
    private const int Turns = 41;
    private const long SweepBytes = MemoryBandwidth.DefaultBytes;

    private static readonly (long N, long K)[] Sizes = [(4096, 4096), (4096, 14336)];

    /// <summary>Measures and returns the page.</summary>
    public static string Measure(string command)
    {
        var text = new StringBuilder();
        using var memory = new MemoryBandwidth(SweepBytes);
        (double bandwidth, double medianBandwidth) = memory.Measure(Turns);
        text.Append(CultureInfo.InvariantCulture, $"""
            # Matrix-vector products on the CPU

            One activation row (M = 1), float32, times a weight [N, K] that comes from memory. Lower ms is better; a share of 1
            would mean that the product takes as long as reading the weight once.

            | | |
            | --- | --- |
            | processor | {CpuFeatures.Describe()} |
            | threads | {ParallelRows.WorkerCount} |
            | date | {DateTimeOffset.UtcNow:yyyy-MM-dd} |
            | commit | {Commit()} |
            | command | `{command}` |
            | read bandwidth | {bandwidth:0.0} GB/s, the best of {Turns} passes over {SweepBytes >> 20} MiB (median {medianBandwidth:0.0}) |

            Variants ran in turns, {Turns} calls each, caches swept before each call. GB/s counts the bytes of the stored weight.

            """);
        foreach ((long n, long k) in Sizes)
        {
            text.Append(Table(memory, bandwidth, n, k));
        }

        return text.ToString();
    }

    private static string Table(MemoryBandwidth memory, double bandwidth, long n, long k)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(1);
        Tensor weight = randn(n, k), x = randn(1, k);
        Tensor half = weight.to(ScalarType.BFloat16), halfX = x.to(ScalarType.BFloat16);
        (string Name, string Kernel, long Bytes, Action Run)[] variants =
        [
            ("float32", "libtorch", 4 * n * k, () => nn.functional.linear(x, weight).Dispose()),
            ("bfloat16", "libtorch", 2 * n * k, () => nn.functional.linear(halfX, half).Dispose()),
            .. Configs().Select(config => Variant(config, weight, x)),
        ];
        double[][] seconds = [.. variants.Select(_ => new double[Turns])];
        for (int turn = -2; turn < Turns; turn++)
        {
            for (int i = 0; i < variants.Length; i++)
            {
                memory.Read();
                long start = Stopwatch.GetTimestamp();
                variants[i].Run();
                if (turn >= 0)
                {
                    seconds[i][turn] = Stopwatch.GetElapsedTime(start).TotalSeconds;
                }
            }
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"\n## [{n}, {k}]\n\n");
        text.Append("| weight | kernel | MB | ms (median) | ms (best) | GB/s (best) | share of read | × float32 (median) |\n");
        text.Append("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for (int i = 0; i < variants.Length; i++)
        {
            (string name, string kernel, long bytes, _) = variants[i];
            (double median, double best) = (Median(seconds[i]), seconds[i].Min());
            double rate = bytes / best / 1e9;
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {name} | {kernel} | {bytes / 1e6:0.0} | {1e3 * median:0.00} | {1e3 * best:0.00} | {rate:0.0} | " +
                $"{rate / bandwidth:0.00} | {Median(seconds[0]) / median:0.0} |\n");
        }

        return text.ToString();
    }

    private static (string Name, string Kernel, long Bytes, Action Run) Variant(
        (string Name, QuantizeConfig Config) config, Tensor weight, Tensor x)
    {
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config.Config);
        QuantizedTensor quantized = handler.Quantize(weight, config.Config);

        // Left to the end of the process: a scope cannot own it, and the table has a handful.
        LinearExecutor executor = BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(quantized);
        return (config.Name, executor.Explain(1, x.dtype).Kernel, quantized.Bytes, () => executor.Forward(x, null).Dispose());
    }

    private static (string Name, QuantizeConfig Config)[] Configs() =>
    [
        ("bfloat16 weight", new HalfWeightOnlyConfig()),
        ("float16 weight", new HalfWeightOnlyConfig { DType = ScalarType.Float16 }),
        ("int8, row", new Int8WeightOnlyConfig()),
        ("int8, group 128", new Int8WeightOnlyConfig { GroupSize = 128 }),
        ("int4, group 128", new Int4WeightOnlyConfig()),
        ("int4, group 32", new Int4WeightOnlyConfig { GroupSize = 32 }),
        ("int4 symmetric, group 128", new Int4WeightOnlyConfig { MappingType = MappingType.Symmetric }),
        ("float8, row", new Float8WeightOnlyConfig()),
        ("fp6 e3m2", new FPXWeightOnlyConfig(3, 2)),
        ("fp5 e2m2", new FPXWeightOnlyConfig(2, 2)),
        ("fp4 e2m1", new FPXWeightOnlyConfig(2, 1)),
        ("nf4", new NF4WeightOnlyConfig()),
        ("mx fp8", new MxWeightOnlyConfig()),
        ("mx fp6 e3m2", new MxWeightOnlyConfig { ElementType = MxElementType.Float6E3M2 }),
        ("mx fp4", new MxWeightOnlyConfig { ElementType = MxElementType.Float4E2M1 }),
        ("uint3, group 64", new UIntXWeightOnlyConfig { DType = QuantizedType.Unsigned(3) }),
        ("ternary", new BitNetWeightOnlyConfig()),
    ];

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);

    private static string Commit()
    {
        using Process git = Process.Start(new ProcessStartInfo("git", "rev-parse --short HEAD") { RedirectStandardOutput = true })!;
        string commit = git.StandardOutput.ReadToEnd().Trim();
        git.WaitForExit();
        return commit;
    }
}
