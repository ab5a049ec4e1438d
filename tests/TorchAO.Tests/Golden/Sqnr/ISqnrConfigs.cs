using TorchAO.Configuration;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>Our configs for rows of <c>sqnr.json</c>. Any class of this assembly that implements it takes part.</summary>
internal interface ISqnrConfigs
{
    /// <summary>Gets the rows by torchao's name for them.</summary>
    IReadOnlyDictionary<string, SqnrConfig> Rows { get; }
}

/// <summary>One row's config.</summary>
/// <param name="Config">What we quantize with.</param>
/// <param name="Tolerance">By how many decibels two draws of the layer may differ; the vectors' notes say 0.3, and 0.6 for one
/// and two bits.</param>
/// <param name="IsDefect">Whether the row records a defect of torchao's: ours must then be better, by far.</param>
internal sealed record SqnrConfig(QuantizeConfig Config, double Tolerance = 0.3, bool IsDefect = false);
