using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using TorchAO.Primitives;

namespace TorchAO.Lifecycle;

/// <summary>Writes granularities as <c>per_row</c>, <c>per_tensor</c>, <c>per_token</c>, <c>per_group(128)</c>, <c>per_axis(0)</c>.</summary>
internal sealed class GranularityConverter : JsonConverter<Granularity>
{
    public override Granularity Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        string text = reader.TokenType == JsonTokenType.String ? reader.GetString()! : "";
        return text switch
        {
            "per_row" => new PerRow(),
            "per_tensor" => new PerTensor(),
            "per_token" => new PerToken(),
            _ when Number(text, "per_group") is { } size => new PerGroup(size),
            _ when Number(text, "per_axis") is { } axis and >= int.MinValue and <= int.MaxValue => new PerAxis((int)axis),
            _ => throw new JsonException("expected per_row, per_tensor, per_token, per_group(size) or per_axis(axis)"),
        };
    }

    public override void Write(Utf8JsonWriter writer, Granularity value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value switch
        {
            PerRow => "per_row",
            PerTensor => "per_tensor",
            PerToken => "per_token",
            PerGroup group => $"per_group({group.Size.ToString(CultureInfo.InvariantCulture)})",
            PerAxis axis => $"per_axis({axis.Axis.ToString(CultureInfo.InvariantCulture)})",
            _ => throw new JsonException($"{value} has no text form"),
        });

    private static long? Number(string text, string name) =>
        text.StartsWith(name + "(", StringComparison.Ordinal) && text.EndsWith(')')
        && long.TryParse(text[(name.Length + 1)..^1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
            ? number
            : null;
}
