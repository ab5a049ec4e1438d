using System.Diagnostics;
using System.Globalization;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Runtime.Cpu;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>
/// How fast a weight is quantized, in GB/s of its own bytes, from each type that a weight may have:
/// <c>quantize 4096x4096 int8_weight_only int4wo-32</c>, or a usual choice if none is named.
/// </summary>
internal static class QuantizeTable
{
    private const int Turns = 9;

    private static readonly ScalarType[] Types = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16];

    private static readonly string[] Usual =
    [
        "int8_weight_only",
        "int8_weight_only(group_size=128)",
        "int4_weight_only",
        "int4_weight_only(group_size=32)",
        "int4_weight_only(mapping_type=symmetric)",
        "int4_weight_only(zero_point_domain=integer)",
        "int8_dynamic_activation_int8_weight",
        "int8_dynamic_activation_int4_weight",
        "uintx_weight_only(dtype=uint3)",
        "nf4_weight_only",
        "fpx_weight_only",
        "mx_weight_only",
        "bitnet_weight_only",
        "float8_weight_only",
    ];

    public static void Run(IReadOnlyList<string> arguments)
    {
        long[] size = [.. arguments[0].Split('x').Select(text => long.Parse(text, CultureInfo.InvariantCulture))];
        Console.WriteLine(CpuFeatures.Describe());
        Console.WriteLine(
            $"{DateTimeOffset.UtcNow:yyyy-MM-dd}, weight [{size[0]}, {size[1]}], GB/s of the weight as it was: median (best) of {Turns}");
        Console.WriteLine($"{"",-48}{string.Concat(Types.Select(type => $"{type,16}"))}");
        random.manual_seed(1);
        using Tensor values = randn(size[0], size[1]);
        Tensor[] weights = [.. Types.Select(type => values.to(type))];
        foreach (string text in arguments.Count > 1 ? arguments.Skip(1) : Usual)
        {
            Console.Write($"{text,-48}");
            foreach (Tensor weight in weights)
            {
                Console.Write($"{Measure(weight, text),16}");
            }

            Console.WriteLine();
        }

        Array.ForEach(weights, weight => weight.Dispose());
    }

    private static string Measure(Tensor weight, string text)
    {
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, text);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        double[] seconds = new double[Turns];
        for (int turn = -1; turn < Turns; turn++)
        {
            long start = Stopwatch.GetTimestamp();
            handler.Quantize(weight, config).Dispose();
            if (turn >= 0)
            {
                seconds[turn] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        }

        Array.Sort(seconds);
        double bytes = weight.numel() * weight.element_size();
        return string.Create(CultureInfo.InvariantCulture, $"{bytes / seconds[Turns / 2] / 1e9:0.00} ({bytes / seconds[0] / 1e9:0.00})");
    }
}
