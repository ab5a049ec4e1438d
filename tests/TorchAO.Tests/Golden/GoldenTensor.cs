namespace TorchAO.Tests.Golden;

/// <summary>Where a tensor of a case lies, which type its bytes really have, and how close ours must be.</summary>
internal sealed record GoldenTensor(string Key, string? LogicalDtype, GoldenTolerance Tolerance);

/// <summary>The tolerance of one output, as the index states it; <c>exact</c> where it states none.</summary>
internal sealed record GoldenTolerance(
    string Mode,
    double Rtol = 0,
    double Atol = 0,
    double MaxAbsDiff = 0,
    double MaxMismatchFraction = 0,
    double MinDecibel = 0)
{
    public static GoldenTolerance Exact { get; } = new("exact");
}
