using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using TorchAO.Configuration;
using TorchAO.Lifecycle;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>What was measured and chosen, layer by layer, and what became of the model.</summary>
/// <param name="Layers">A row for each layer that was looked at, in the model's order.</param>
/// <param name="Rules">The choices as rules, which give another copy of the model the same formats without measuring.</param>
/// <param name="Quantization">What quantizing did; <see langword="null"/> where every layer is fastest as it is.</param>
public sealed record AutoQuantReport(
    IReadOnlyList<AutoQuantLayer> Layers, ModuleRules Rules, QuantizeReport? Quantization)
{
    /// <summary>Writes a table for each distinct set of timings, with the layers it holds for, and a closing line.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (IGrouping<string, AutoQuantLayer> alike in Layers.Where(layer => layer.Choice is not null).GroupBy(Heading))
        {
            text.AppendLine(alike.Key);
            AppendTimings(text, alike.First(), [.. alike]);
            foreach (IGrouping<string, AutoQuantLayer> chosen in alike.GroupBy(layer => layer.Choice!.Candidate))
            {
                string names = string.Join(", ", chosen.Take(6).Select(layer => layer.Name));
                int more = chosen.Count() - 6;
                text.AppendLine(CultureInfo.InvariantCulture, $"  -> {chosen.Key}: {names}{(more > 0 ? $" and {more} more" : string.Empty)}");
            }
        }

        AutoQuantLayer[] unseen = [.. Layers.Where(layer => layer.Choice is null)];
        if (unseen.Length > 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"never reached, left as they are: {string.Join(", ", unseen.Select(layer => layer.Name))}");
        }

        text.Append(CultureInfo.InvariantCulture, $"{Layers.Count(layer => layer.Choice?.Config is not null)} of {Layers.Count} layers quantized");
        return Quantization is null
            ? text.ToString()
            : text.Append(CultureInfo.InvariantCulture, $", {Quantization.BytesBefore / 1e6:0.000} MB -> {Quantization.BytesAfter / 1e6:0.000} MB").ToString();
    }

    /// <summary>Writes the report as JSON with stable snake-case names, for machines.</summary>
    public string ToJson() => new JsonObject
    {
        ["layers"] = new JsonArray([.. Layers.Select(layer => new JsonObject
        {
            ["name"] = layer.Name,
            ["out_features"] = layer.OutFeatures,
            ["in_features"] = layer.InFeatures,
            ["activation_type"] = $"{layer.ActivationType}",
            ["calls"] = new JsonArray([.. layer.Calls.Select(call => new JsonObject { ["rows"] = call.Rows, ["count"] = call.Count })]),
            ["choice"] = layer.Choice?.Candidate,
            ["speedup"] = Math.Round(layer.Speedup, 4),
            ["timings"] = new JsonArray([.. layer.Timings.Select(timing => new JsonObject
            {
                ["candidate"] = timing.Candidate,
                ["milliseconds"] = timing.Milliseconds,
                ["bytes"] = timing.Bytes,
                ["sqnr_db"] = timing.SqnrDecibels is { } noise && double.IsFinite(noise) ? noise : null,
                ["kernel"] = timing.Kernel,
                ["reason"] = timing.Reason,
            })]),
        })]),
        ["quantization"] = Quantization is null ? null : JsonNode.Parse(Quantization.ToJson()),
    }.ToJsonString();

    private static string Heading(AutoQuantLayer layer) => string.Create(CultureInfo.InvariantCulture,
        $"[{layer.OutFeatures}, {layer.InFeatures}] {layer.ActivationType}, rows {string.Join(", ", layer.Calls.Select(call => $"{call.Rows} ({call.Count}x)"))}");

    // Times belong to the shape and are the same for all; the ratio of signal to noise is each layer's own, so the least is shown.
    private static void AppendTimings(StringBuilder text, AutoQuantLayer layer, AutoQuantLayer[] alike)
    {
        string[][] rows =
        [
            ["candidate", "ms", "times faster", "KB", "least dB", "kernel or reason"],
            .. layer.Timings.Select(timing => new[]
            {
                timing.Candidate,
                timing.Milliseconds?.ToString("0.0000", CultureInfo.InvariantCulture) ?? "-",
                timing.Milliseconds is { } time
                    ? (layer.Timings.First(other => other.Config is null).Milliseconds!.Value / time).ToString("0.00", CultureInfo.InvariantCulture)
                    : "-",
                (timing.Bytes / 1e3).ToString("0.0", CultureInfo.InvariantCulture),
                Least(alike, timing.Candidate),
                timing.Milliseconds is null ? timing.Reason ?? string.Empty : timing.Kernel ?? string.Empty,
            }),
        ];
        TextTable.Append(text, rows, isNumber: column => column is > 0 and < 5, indent: "  ");
    }

    private static string Least(AutoQuantLayer[] alike, string candidate)
    {
        double[] measured =
        [
            .. alike.SelectMany(layer => layer.Timings).Where(timing => timing.Candidate == candidate)
                .Select(timing => timing.SqnrDecibels).OfType<double>(),
        ];
        return measured.Length == 0 ? "-" : measured.Min().ToString("0.0", CultureInfo.InvariantCulture);
    }
}
