using System.Globalization;
using TorchAO.Algorithms.AutoQuant;
using TorchAO.Runtime.Cpu;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Benchmarks;

/// <summary>
/// What <c>AutoQuantize</c> measures for one layer with random weights, for one token and for a prompt:
/// <c>autoquant 4096x4096 1,128 int8_weight_only int4wo-32</c>, or all candidates if none is named.
/// </summary>
internal static class AutoQuantTable
{
    public static void Run(IReadOnlyList<string> arguments)
    {
        long[] size = [.. arguments[0].Split('x').Select(text => long.Parse(text, CultureInfo.InvariantCulture))];
        Console.WriteLine(CpuFeatures.Describe());
        foreach (string rows in arguments[1].Split(','))
        {
            random.manual_seed(1);
            using Sequential model = nn.Sequential(("layer", nn.Linear(size[1], size[0], hasBias: false)));
            using Tensor input = randn(long.Parse(rows, CultureInfo.InvariantCulture), size[1]);
            AutoQuantReport report = model.AutoQuantize(input, new()
            {
                Candidates = arguments.Count == 2
                    ? AutoQuantCandidates.All
                    : [.. arguments.Skip(2).Select(text => Lifecycle.ConfigText.Parse(Formats.BuiltInFormats.Catalog, text))],
                MeasuringTime = TimeSpan.FromSeconds(1),
            });
            Console.WriteLine(report);
        }
    }
}
