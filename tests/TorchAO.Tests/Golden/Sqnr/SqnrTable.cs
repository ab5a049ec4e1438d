using System.Text.Json;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Sqnr;

/// <summary>The rows of <c>sqnr.json</c>: what torchao measured on a layer of 1024 by 1024.</summary>
internal sealed class SqnrTable
{
    private SqnrTable(IReadOnlyDictionary<string, SqnrRow> rows) => Rows = rows;

    public static SqnrTable Current { get; } = Read(Path.Combine(GoldenSet.Current.Folder, "sqnr.json"));

    public IReadOnlyDictionary<string, SqnrRow> Rows { get; }

    private static SqnrTable Read(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        return new SqnrTable(document.RootElement.GetProperty("rows").EnumerateObject().ToDictionary(
            row => row.Name,
            row => new SqnrRow(
                Type(row.Value.GetProperty("dtype").GetString()!),
                row.Value.GetProperty("y").GetDouble(),
                row.Value.TryGetProperty("w", out JsonElement weight) ? weight.GetDouble() : null)));
    }

    private static ScalarType Type(string name) => name switch
    {
        "f32" => ScalarType.Float32,
        "bf16" => ScalarType.BFloat16,
        "f16" => ScalarType.Float16,
        _ => throw new NotSupportedException($"sqnr.json names an element type that is not known: {name}"),
    };
}

/// <summary>One row: the layer's type, and the decibels of output and weight against the float32 layer.</summary>
internal sealed record SqnrRow(ScalarType Type, double Output, double? Weight);
