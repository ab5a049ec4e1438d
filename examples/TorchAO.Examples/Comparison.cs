using System.Globalization;
using System.Text;
using TorchAO.Configuration;
using TorchAO.Lifecycle;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Examples;

/// <summary>Runs a network as it is and quantized in each way, and writes a table.</summary>
internal static class Comparison
{
    /// <summary>What one way of quantizing gives.</summary>
    /// <param name="Name">The way.</param>
    /// <param name="Percent">How good the network is.</param>
    /// <param name="Bytes">The size of the network.</param>
    /// <param name="Decibels">Signal to noise of the outputs against those of the float network.</param>
    /// <param name="Report">What became of each layer; <see langword="null"/> for the float network.</param>
    public sealed record Row(string Name, double Percent, long Bytes, double Decibels, QuantizeReport? Report);

    /// <summary>Measures all ways of an example.</summary>
    public static IReadOnlyList<Row> Measure(IExample example)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        Tensor inputs = example.Inputs();
        using nn.Module<Tensor, Tensor> plain = example.Load();
        Tensor exact = plain.call(inputs);
        var rows = new List<Row> { new("float32", example.Measure(exact), plain.CountBytes(), double.PositiveInfinity, null) };
        foreach ((string name, ModuleRules rules) in example.Recipes)
        {
            using nn.Module<Tensor, Tensor> quantized = example.Load();
            QuantizeReport report = quantized.Quantize(rules, new QuantizeOptions { Modules = ModuleKinds.All });
            Tensor outputs = quantized.call(inputs);
            double noise = (exact - outputs).norm().item<float>();
            rows.Add(new Row(
                name, example.Measure(outputs), quantized.CountBytes(), 20 * Math.Log10(exact.norm().item<float>() / noise), report));
        }

        return rows;
    }

    /// <summary>Measures all ways of an example and writes the table, and why layers were left alone.</summary>
    public static string Run(IExample example)
    {
        IReadOnlyList<Row> rows = Measure(example);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"## {example.Title}\n\n");
        text.Append(CultureInfo.InvariantCulture, $"| | {example.MeasureName}, % | bytes | smaller | output, dB | layers |\n");
        text.Append("| --- | --- | --- | --- | --- | --- |\n");
        foreach (Row row in rows)
        {
            string layers = row.Report is null ? string.Empty : $"{row.Report.Quantized.Count()} of {row.Report.Layers.Count}";
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {row.Name} | {row.Percent:F2} | {row.Bytes} | {(double)rows[0].Bytes / row.Bytes:F2} | {row.Decibels:F1} | {layers} |\n");
        }

        foreach (Row row in rows.Where(row => row.Report is not null))
        {
            foreach (IGrouping<string?, LayerReport> left in row.Report!.Layers.Where(layer => !layer.IsQuantized).GroupBy(layer => layer.Reason))
            {
                text.Append(
                    CultureInfo.InvariantCulture, $"\n{row.Name}: {string.Join(", ", left.Select(layer => layer.Name))}: {left.Key}");
            }
        }

        return text.Append('\n').ToString();
    }
}
