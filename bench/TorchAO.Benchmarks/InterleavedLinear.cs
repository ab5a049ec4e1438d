using System.Diagnostics;
using System.Globalization;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Lifecycle;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>
/// One linear product in float32 and with several configs, in turns within one run, so that a busy machine slows all alike:
/// <c>linear 4096x4096 1 int8_weight_only "uintx_weight_only(dtype=uint3)"</c>.
/// </summary>
internal static class InterleavedLinear
{
    private const int Rounds = 60;

    public static void Run(IReadOnlyList<string> arguments)
    {
        long[] size = [.. arguments[0].Split('x').Select(text => long.Parse(text, CultureInfo.InvariantCulture))];
        long rows = long.Parse(arguments[1], CultureInfo.InvariantCulture);
        random.manual_seed(1);
        using Tensor weight = randn(size[0], size[1]);
        using Tensor input = randn(rows, size[1]);
        LinearExecutor[] executors = [.. arguments.Skip(2).Select(text => Quantize(weight, text))];
        var contestants = new List<(string Name, long Bytes, Action Multiply)>
        {
            ("float32", weight.numel() * weight.element_size(), () => nn.functional.linear(input, weight).Dispose()),
            ("_int_mm", weight.numel(), IntMm(weight, input)),
        };
        foreach ((LinearExecutor executor, string name) in executors.Zip(arguments.Skip(2)))
        {
            contestants.Add((name, executor.Weight.Bytes, () => executor.Forward(input, null).Dispose()));
        }

        double[][] milliseconds = [.. contestants.Select(_ => new double[Rounds])];
        for (int round = -10; round < Rounds; round++)
        {
            for (int i = 0; i < contestants.Count; i++)
            {
                long start = Stopwatch.GetTimestamp();
                contestants[i].Multiply();
                if (round >= 0)
                {
                    milliseconds[i][round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                }
            }
        }

        double baseline = Median(milliseconds[0]);
        foreach (((string name, long bytes, _), double[] times) in contestants.Zip(milliseconds))
        {
            double median = Median(times);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-44} {median,8:f3} ms  {bytes / median / 1e6,6:f1} GB/s  {baseline / median,5:f2} x"));
        }

        foreach (LinearExecutor executor in executors)
        {
            executor.Dispose();
        }
    }

    // The product of codes alone, without rounding activations or scaling sums: libtorch's best on this processor.
    private static Action IntMm(Tensor weight, Tensor input)
    {
        var multiply = Operator.Find("aten::_int_mm");
        Tensor codes = input.mul(30).clamp(-127, 127).to(ScalarType.Int8);
        Tensor transposed = weight.mul(30).clamp(-127, 127).to(ScalarType.Int8).t();
        return () => multiply.Call(codes, transposed).Dispose();
    }

    private static LinearExecutor Quantize(Tensor weight, string text)
    {
        QuantizeConfig config = ConfigText.Parse(BuiltInFormats.Catalog, text);
        IQuantizeHandler handler = BuiltInFormats.Catalog.Handler(config);
        QuantizedTensor quantized = handler.Quantize(weight, config);
        return BuiltInFormats.Catalog.Format(handler.FormatName).CreateExecutor(quantized, activation: handler.Activation(config));
    }

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
