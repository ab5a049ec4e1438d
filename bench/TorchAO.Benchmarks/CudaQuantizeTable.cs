using System.Diagnostics;
using System.Globalization;
using System.Text;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Primitives;
using TorchAO.Runtime.Cuda;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>
/// How fast a weight on a GPU is quantized, in GB/s of its own bytes: in one pass, and by libtorch's operators, in turns;
/// <c>cuda-quantize quantize.md COMMIT 14336x4096</c>.
/// </summary>
/// <remarks>Wall time of whole calls, each of which waits for the device once, to learn whether the weight is finite.</remarks>
internal static class CudaQuantizeTable
{
    private const int Turns = 15;

    // Those whose grid a pass has, and whose first config is for the format's usual grid.
    private static readonly string[] Formats = ["int8", "int4", "uintx", "float8", "floatx", "mx", "nf4", "bitnet"];

    private static readonly ScalarType[] Types = [ScalarType.BFloat16, ScalarType.Float32];

    /// <summary>Measures and returns the page.</summary>
    public static string Measure(string command, string commit, IEnumerable<(long N, long K)> shapes)
    {
        CudaDevice device = CudaDevice.Get(0);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # Quantizing a weight on a GPU

            GB/s (10⁹) of the bytes of the weight [N, K] as it was, by the time of a whole call, which checks that it is finite, chooses scales, rounds
            and packs: the median of {Turns} turns. In one pass; by libtorch's operators, in the same turns; and in one pass from pageable host memory,
            copying included. Each format with the config that it has by default.

            | | |
            | --- | --- |
            | device | {device} |
            | date | {DateTimeOffset.UtcNow:yyyy-MM-dd} |
            | commit | {commit} |
            | command | `{command}` |

            """);
        foreach ((long n, long k) in shapes)
        {
            foreach (ScalarType type in Types)
            {
                Append(text, device, n, k, type);
            }
        }

        return text.ToString();
    }

    private static void Append(StringBuilder text, CudaDevice device, long n, long k, ScalarType type)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n## [{n}, {k}] in {type}\n\n| format | one pass | operators | ratio | from host memory |\n");
        text.Append("| --- | --- | --- | --- | --- |\n");
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = (randn([n, k], device: CUDA) * 0.02).to(type), host = weight.cpu();
        double bytes = weight.numel() * weight.element_size();
        foreach (IFormat format in Formats.Select(BuiltInFormats.Catalog.Format))
        {
            IQuantizeHandler handler = format.Handlers[0];
            QuantizeConfig config = handler.DefaultConfig;
            IQuantizationGrid grid = format.CreateGrid(k);
            bool isSame = HaveSameBytes(handler, config, grid, weight);
            double[][] times = InTurns(
                device,
                () => handler.Quantize(weight, config).Dispose(),
                () =>
                {
                    using Tensor moved = host.to(CUDA);
                    handler.Quantize(moved, config).Dispose();
                },
                () => (isSame ? ByOperators(grid, weight) : handler.Quantize(weight, config)).Dispose());
            double[] rates = [.. times.Select(seconds => bytes / seconds[Turns / 2] / 1e9)];

            // Where a config's grid is not its format's usual one, the operators would make something else.
            string operators = isSame
                ? string.Create(CultureInfo.InvariantCulture, $"{rates[2]:0} | {rates[0] / rates[2]:0.0} ×")
                : "not compared | ";
            text.Append(CultureInfo.InvariantCulture, $"| {format.Name} | {rates[0]:0} | {operators} | {rates[1]:0.0} |\n");
        }
    }

    private static bool HaveSameBytes(IQuantizeHandler handler, QuantizeConfig config, IQuantizationGrid grid, Tensor weight)
    {
        using Tensor few = weight.narrow(0, 0, 16);
        using QuantizedTensor byHandler = handler.Quantize(few, config), byGrid = ByOperators(grid, few);
        return byHandler.Bytes == byGrid.Bytes;
    }

    // What a handler does where there is no pass.
    private static QuantizedTensor ByOperators(IQuantizationGrid grid, Tensor weight)
    {
        using Tensor finite = weight.isfinite(), all = finite.all();
        if (!all.item<bool>())
        {
            throw new InvalidOperationException("the weight is not finite");
        }

        using QParams qparams = grid.ChooseQParams(weight);
        using Tensor codes = grid.Quantize(weight, qparams);
        return grid.Pack(codes, qparams, weight.dtype);
    }

    // Seconds of each, sorted; one turn before the first is not counted.
    private static double[][] InTurns(CudaDevice device, params Action[] calls)
    {
        using CudaEvent done = CudaEvent.Create(device);
        double[][] times = [.. calls.Select(_ => new double[Turns])];
        for (int turn = -1; turn < Turns; turn++)
        {
            for (int i = 0; i < calls.Length; i++)
            {
                long start = Stopwatch.GetTimestamp();
                calls[i]();
                done.Record(CudaStream.Current(device));
                done.Synchronize();
                if (turn >= 0)
                {
                    times[i][turn] = Stopwatch.GetElapsedTime(start).TotalSeconds;
                }
            }
        }

        Array.ForEach(times, Array.Sort);
        return times;
    }
}
