using System.Globalization;
using TorchAO.Primitives.Observers;
using TorchAO.Primitives;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>AffineQuantizedMinMaxObserver: batches x0, x1, …, then the ranges and the grid chosen from them.</summary>
internal sealed class MinMaxObserverHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "I" && recorded.Calls("AffineQuantizedMinMaxObserver") && recorded.Has("granularity");

    public void Run(GoldenCase recorded, GoldenRun run)
    {
        using var observer = new MinMaxObserver(GranularityOf(recorded.Text("granularity")), AffineHandler.SchemeOf(recorded));
        for (int i = 0; recorded.Inputs.ContainsKey($"x{i}"); i++)
        {
            observer.Observe(run.Input($"x{i}"));
        }

        using QParams chosen = observer.CalculateQParams();
        run.Expect("min_val", observer.Min);
        run.Expect("max_val", observer.Max);
        run.Expect("scale", chosen.Scale);
        run.Expect("zero_point", chosen.ZeroPoint);
    }

    private static Granularity GranularityOf(string text)
    {
        const string axis = "PerAxis(axis=";
        return text.StartsWith(axis, StringComparison.Ordinal)
            ? new PerAxis(int.Parse(text[axis.Length..^1], CultureInfo.InvariantCulture))
            : new PerTensor();
    }
}
