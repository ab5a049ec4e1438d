using System.Text.Json;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>One recorded call of torchao 0.9: what went in, what came out, how close ours must be.</summary>
internal sealed record GoldenCase(
    string Id,
    string Call,
    JsonElement Params,
    IReadOnlyDictionary<string, GoldenTensor> Inputs,
    IReadOnlyDictionary<string, GoldenTensor> Outputs,
    string? ExpectedError,
    string Device)
{
    /// <summary>The letter before the first slash.</summary>
    public string Area => Id[..Id.IndexOf('/', StringComparison.Ordinal)];

    /// <summary>The part between the first and the second slash, for lists of what is missing.</summary>
    public string Family => Id.Split('/').ElementAtOrDefault(1) ?? "";

    /// <summary>Whether the recorded call begins with this function; what follows it are further steps and remarks.</summary>
    public bool Calls(string function) =>
        Call.StartsWith(function, StringComparison.Ordinal)
        && (Call.Length == function.Length || !(char.IsLetterOrDigit(Call[function.Length]) || Call[function.Length] == '_'));

    public bool Has(string name) =>
        Params.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    public string Text(string name) => Params.GetProperty(name).GetString()!;

    public int Int(string name) => Params.GetProperty(name).GetInt32();

    public double? Number(string name) => Has(name) ? Params.GetProperty(name).GetDouble() : null;

    public bool Flag(string name, bool otherwise) => Has(name) ? Params.GetProperty(name).GetBoolean() : otherwise;

    public long[] Longs(string name) =>
        [.. Params.GetProperty(name).EnumerateArray().Select(value => value.GetInt64())];

    public ScalarType? Dtype(string name) => Has(name) ? GoldenDtype.Parse(Text(name)) : null;
}
