using System.Globalization;
using Spectre.Console;
using TorchAO.Lifecycle;

namespace TorchAO.Cli;

/// <summary>A report as a table on the screen.</summary>
internal static class LayerTable
{
    /// <summary>Writes one row a layer and a closing line.</summary>
    public static void Write(IAnsiConsole screen, QuantizeReport report)
    {
        bool isMeasured = report.Layers.Any(layer => layer.SignalToNoiseDecibels is not null);
        Table table = new Table().Border(TableBorder.Simple)
            .AddColumn("layer").AddColumn("outcome").AddColumn("format")
            .AddColumn(new TableColumn("before").RightAligned()).AddColumn(new TableColumn("after").RightAligned());
        if (isMeasured)
        {
            table.AddColumn(new TableColumn("SQNR dB").RightAligned());
        }

        table.AddColumn("kernel or reason");
        foreach (LayerReport layer in report.Layers)
        {
            string[] cells =
            [
                layer.Name, $"{layer.Outcome}", layer.Format ?? "-", Sizes.Bytes(layer.BytesBefore), Sizes.Bytes(layer.BytesAfter),
                .. isMeasured ? [Decibels(layer)] : Array.Empty<string>(),
                string.Join("; ", new[] { layer.Kernel, layer.Reason }.Where(text => text is not null)),
            ];
            table.AddRow([.. cells.Select(cell => new Text(cell))]);
        }

        screen.Write(table);
        screen.MarkupLine(
            $"[bold]{report.Quantized.Count()} of {report.Layers.Count}[/] linear layers quantized, weights " +
            $"{Sizes.Bytes(report.BytesBefore)} -> [bold]{Sizes.Bytes(report.BytesAfter)}[/]");
    }

    private static string Decibels(LayerReport layer) =>
        layer.SignalToNoiseDecibels?.ToString("F1", CultureInfo.InvariantCulture) ?? "-";
}
