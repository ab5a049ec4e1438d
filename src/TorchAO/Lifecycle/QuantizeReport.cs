using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TorchAO.Lifecycle;

/// <summary>What a call of <c>Quantize</c> did, or what <c>Explain</c> says it would do, layer by layer.</summary>
/// <param name="Layers">A row for each linear layer, in the model's order.</param>
public sealed record QuantizeReport(IReadOnlyList<LayerReport> Layers)
{
    private const int NamesOfGroup = 3;

    /// <summary>Gets the layers that run in a quantized format.</summary>
    public IEnumerable<LayerReport> Quantized => Layers.Where(layer => layer.IsQuantized);

    /// <summary>Gets the layers that this call quantized (or would).</summary>
    public IEnumerable<LayerReport> Changed =>
        Layers.Where(layer => layer.Outcome is LayerOutcome.Swapped or LayerOutcome.InPlace);

    /// <summary>Gets the layers whose config does not fit them.</summary>
    public IEnumerable<LayerReport> Skipped => Layers.Where(layer => layer.Outcome is LayerOutcome.Skipped);

    /// <summary>Gets the bytes of all listed weights before.</summary>
    public long BytesBefore => Layers.Sum(layer => layer.BytesBefore);

    /// <summary>Gets the bytes of all listed weights after.</summary>
    public long BytesAfter => Layers.Sum(layer => layer.BytesAfter);

    /// <summary>Gets the share of the listed weight bytes (before) that is in quantized layers, from 0 to 1.</summary>
    public double Coverage => BytesBefore == 0 ? 0 : (double)Quantized.Sum(layer => layer.BytesBefore) / BytesBefore;

    /// <summary>Says why layers stay as they are, on one line: equal reasons once, with the count of their layers and the first names.</summary>
    /// <returns>Empty where every layer is quantized.</returns>
    public string DescribeUnquantized()
    {
        IEnumerable<string> groups = Layers.Where(layer => !layer.IsQuantized).GroupBy(layer => layer.Reason).Select(group =>
        {
            LayerReport[] layers = [.. group];
            string who = layers.Length == 1
                ? $"{layers[0].Name} ({layers[0].Module})"
                : $"{layers.Length} layers ({string.Join(", ", layers.Take(NamesOfGroup).Select(layer => layer.Name))}" +
                  $"{(layers.Length > NamesOfGroup ? ", …" : "")})";
            return $"{who}: {group.Key}";
        });
        return string.Join("; ", groups);
    }

    /// <summary>Writes the report as a table with a closing line, for people; with a column of errors where they were measured.</summary>
    public override string ToString()
    {
        bool isMeasured = Layers.Any(layer => layer.SignalToNoiseDecibels is not null);
        string[][] rows =
        [
            ["layer", "outcome", "format", "MB before", "MB after", .. isMeasured ? ["SQNR dB"] : Array.Empty<string>(), "kernel or reason"],
            .. Layers.Select(layer => new[]
            {
                [layer.Name, $"{layer.Outcome}", layer.Format ?? "-", Megabytes(layer.BytesBefore), Megabytes(layer.BytesAfter)],
                isMeasured ? [Decibels(layer)] : Array.Empty<string>(),
                [string.Join("; ", new[] { layer.Kernel, layer.Reason }.Where(text => text is not null))],
            }.SelectMany(cells => cells).ToArray()),
        ];
        var text = new StringBuilder();
        TextTable.Append(text, rows, isNumber: column => column is 3 or 4 || (isMeasured && column == 5));
        return text.Append(CultureInfo.InvariantCulture, $"{Quantized.Count()} of {Layers.Count} layers quantized, ")
            .Append(CultureInfo.InvariantCulture, $"{Megabytes(BytesBefore)} MB -> {Megabytes(BytesAfter)} MB, ")
            .Append(CultureInfo.InvariantCulture, $"coverage {100 * Coverage:0.0} %").ToString();
    }

    /// <summary>Writes the report as JSON with stable snake-case names, for machines.</summary>
    public string ToJson()
    {
        var layers = new JsonArray([.. Layers.Select(layer => new JsonObject
        {
            ["name"] = layer.Name,
            ["module"] = layer.Module,
            ["outcome"] = JsonNamingPolicy.SnakeCaseLower.ConvertName($"{layer.Outcome}"),
            ["format"] = layer.Format,
            ["kernel"] = layer.Kernel,
            ["reason"] = layer.Reason,
            ["bytes_before"] = layer.BytesBefore,
            ["bytes_after"] = layer.BytesAfter,
            ["signal_to_noise_db"] = layer.SignalToNoiseDecibels is { } noise && double.IsFinite(noise) ? noise : null,
        })]);
        return new JsonObject
        {
            ["bytes_before"] = BytesBefore,
            ["bytes_after"] = BytesAfter,
            ["coverage"] = Coverage,
            ["layers"] = layers,
        }.ToJsonString();
    }

    private static string Decibels(LayerReport layer) =>
        layer.SignalToNoiseDecibels?.ToString("0.0", CultureInfo.InvariantCulture) ?? "-";

    private static string Megabytes(long bytes) => (bytes / 1e6).ToString("0.000", CultureInfo.InvariantCulture);
}
