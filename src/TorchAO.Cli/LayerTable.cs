using System.Globalization;
using Spectre.Console;
using TorchAO.Lifecycle;

namespace TorchAO.Cli;

/// <summary>A report as a table on the screen.</summary>
internal static class LayerTable
{
    // What is longer breaks into lines beside the other columns; where layers share it, it stands once below the table.
    private const int LongText = 48;

    /// <summary>Writes one row a layer, then long remarks that several rows share, then a closing line.</summary>
    public static void Write(IAnsiConsole screen, QuantizeReport report)
    {
        bool isMeasured = report.Layers.Any(layer => layer.SignalToNoiseDecibels is not null);
        (string Text, int Layers)[] shared =
        [
            .. report.Layers.GroupBy(Remark).Where(group => group.Key.Length > LongText && group.Count() > 1)
                .Select(group => (group.Key, group.Count())),
        ];
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
            string remark = Remark(layer);
            int note = Array.FindIndex(shared, one => one.Text == remark) + 1;
            string[] cells =
            [
                layer.Name, $"{layer.Outcome}", layer.Format ?? "-", Sizes.Bytes(layer.BytesBefore), Sizes.Bytes(layer.BytesAfter),
                .. isMeasured ? [Decibels(layer)] : Array.Empty<string>(),
                note == 0 ? remark : $"see ({note})",
            ];
            table.AddRow([.. cells.Select(cell => new Text(cell))]);
        }

        screen.Write(table);
        for (int note = 0; note < shared.Length; note++)
        {
            screen.Profile.Out.Writer.WriteLine($"({note + 1}) {shared[note].Layers} layers: {shared[note].Text}");
        }

        screen.MarkupLine(
            $"[bold]{report.Quantized.Count()} of {report.Layers.Count}[/] linear layers quantized, weights " +
            $"{Sizes.Bytes(report.BytesBefore)} -> [bold]{Sizes.Bytes(report.BytesAfter)}[/]");
    }

    private static string Remark(LayerReport layer) =>
        string.Join("; ", new[] { layer.Kernel, layer.Reason }.Where(text => text is not null));

    private static string Decibels(LayerReport layer) =>
        layer.SignalToNoiseDecibels?.ToString("F1", CultureInfo.InvariantCulture) ?? "-";
}
