using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Benchmarks;

/// <summary>The bytes of weights that a benchmark reads over its median time: in 10⁹ bytes a second, or as a share of what memory gives.</summary>
/// <param name="isShare">Whether the column has the share of the read bandwidth.</param>
internal sealed class RateColumn(bool isShare) : IColumn
{
    private const int Passes = 21;

    private static readonly Lazy<double> readBandwidth = new(static () =>
    {
        using var memory = new MemoryBandwidth();
        return memory.Measure(Passes).BestGigabytesPerSecond;
    });

    /// <inheritdoc/>
    public string Id => $"{nameof(RateColumn)}.{ColumnName}";

    /// <inheritdoc/>
    public string ColumnName => isShare ? "Share of read" : "GB/s";

    /// <inheritdoc/>
    public string Legend => isShare
        ? "GB/s over the measured rate of reading memory; 1 is as fast as reading the weight once"
        : "bytes of the weight, scales included, over the median time, in 10^9 a second";

    /// <inheritdoc/>
    public bool AlwaysShow => true;

    /// <inheritdoc/>
    public ColumnCategory Category => ColumnCategory.Custom;

    /// <inheritdoc/>
    public int PriorityInCategory => isShare ? 1 : 0;

    /// <inheritdoc/>
    public bool IsNumeric => true;

    /// <inheritdoc/>
    public UnitType UnitType => UnitType.Dimensionless;

    /// <summary>Measures the rate of reading memory, which the first share would do otherwise amid the benchmarks.</summary>
    public static double ReadBandwidth => readBandwidth.Value;

    /// <inheritdoc/>
    public bool IsAvailable(Summary summary) => true;

    /// <inheritdoc/>
    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    /// <inheritdoc/>
    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, summary.Style);

    /// <inheritdoc/>
    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style)
    {
        if (summary[benchmarkCase]?.ResultStatistics?.Median is not { } nanoseconds)
        {
            return "-";
        }

        var weight = WeightCase.Of(benchmarkCase.Parameters);
        bool isFloat = benchmarkCase.Descriptor.WorkloadMethod.Name != nameof(DecodeBenchmarks.Quantized);
        double rate = (isFloat ? weight.FloatBytes : weight.QuantizedBytes) / nanoseconds;
        return (isShare ? rate / ReadBandwidth : rate).ToString(isShare ? "0.00" : "0.0", CultureInfo.InvariantCulture);
    }
}
