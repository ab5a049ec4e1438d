using System.Text.Json;
using System.Text.Json.Nodes;

namespace TorchAO.Checkpoints;

/// <summary>A JSON object out of an untrusted file, each field read with its type or refused with its name.</summary>
/// <param name="where">The file and the place in it, for messages.</param>
/// <param name="fields">The object.</param>
internal sealed class CheckpointJson(string where, JsonObject fields)
{
    private const string Damaged = "The file is damaged or was written by other software: fetch or write it again.";

    /// <summary>Gets the names of all fields.</summary>
    public IEnumerable<string> Names => fields.Select(pair => pair.Key);

    /// <summary>Parses a text that must be one JSON object.</summary>
    /// <exception cref="CheckpointException">The text is not JSON, not an object, or has a key twice.</exception>
    public static CheckpointJson Parse(string where, ReadOnlyMemory<byte> text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            RequireUniqueKeys(where, document.RootElement);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new CheckpointJson(where, JsonObject.Create(document.RootElement.Clone())!)
                : throw Lie(CheckpointError.InvalidField, where, "the JSON is not an object", document.RootElement.ToString(), "an object");
        }
        catch (JsonException e)
        {
            throw new CheckpointException(
                CheckpointError.InvalidJson, where, "the text is not valid JSON", e.Message.TrimEnd('.'), "one JSON object", Damaged, e);
        }
    }

    /// <summary>Demands that no field is there but those named.</summary>
    public void RequireOnly(params IReadOnlyList<string> known)
    {
        if (Names.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
        {
            throw new CheckpointException(
                CheckpointError.UnknownField, where, "a field that this version does not know", CheckpointException.Quote(unknown),
                string.Join(", ", known), "A newer version of the library wrote it; ignoring it would change the model. Use that version.");
        }
    }

    /// <summary>Tells whether a field is there.</summary>
    public bool Has(string name) => fields.ContainsKey(name);

    /// <summary>Gets an object.</summary>
    public CheckpointJson Object(string name) => Field(name) is JsonObject inner
        ? new CheckpointJson($"{where}: {Quoted(name)}", inner)
        : throw Wrong(name, "an object");

    /// <summary>Gets a copy of an object as it stands.</summary>
    public JsonObject RawObject(string name) => Field(name) is JsonObject inner
        ? inner.DeepClone().AsObject()
        : throw Wrong(name, "an object");

    /// <summary>Gets a text.</summary>
    public string Text(string name) => Field(name) is JsonValue value && value.TryGetValue(out string? text)
        ? text
        : throw Wrong(name, "a string");

    /// <summary>Gets a whole number.</summary>
    public long Integer(string name) => Field(name) is JsonValue value && value.TryGetValue(out long number)
        ? number
        : throw Wrong(name, "a whole number");

    /// <summary>Gets a flag.</summary>
    public bool Flag(string name) => Field(name) is JsonValue value && value.TryGetValue(out bool flag)
        ? flag
        : throw Wrong(name, "true or false");

    /// <summary>Gets a number.</summary>
    public double Number(string name) => Field(name) is JsonValue value && value.TryGetValue(out double number)
        ? number
        : throw Wrong(name, "a number");

    /// <summary>Gets the sizes of a shape.</summary>
    public long[] Shape(string name)
    {
        JsonArray array = Field(name) as JsonArray ?? throw Wrong(name, "an array of whole numbers");
        return [.. array.Select(item => item is JsonValue value && value.TryGetValue(out long size) && size >= 0
            ? size
            : throw Wrong(name, "whole numbers from 0 up"))];
    }

    /// <summary>Makes the error for a field whose value has the right kind and no meaning.</summary>
    public CheckpointException Wrong(
        string name, string expected, CheckpointError error = CheckpointError.InvalidField, Exception? inner = null) =>
        Lie(error, $"{where}: {Quoted(name)}", "a field has a value that does not fit", Excerpt(fields[name]), expected, inner);

    private static string Quoted(string name) => CheckpointException.Quote(name);

    private static string Excerpt(JsonNode? node) => node is null ? "null" : CheckpointException.Quote(node.ToJsonString());

    private static CheckpointException Lie(
        CheckpointError error, string where, string what, string got, string expected, Exception? inner = null) =>
        new(error, where, what, got, expected, Damaged, inner);

    private static void RequireUniqueKeys(string where, JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Object)
        {
            var names = new HashSet<string>(StringComparer.Ordinal);
            foreach (JsonProperty property in element.EnumerateObject())
            {
                if (!names.Add(property.Name))
                {
                    throw Lie(CheckpointError.DuplicateKey, where, "a key stands twice", Quoted(property.Name), "each key once");
                }

                RequireUniqueKeys($"{where}: {Quoted(property.Name)}", property.Value);
            }
        }
        else if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement item in element.EnumerateArray())
            {
                RequireUniqueKeys(where, item);
            }
        }
    }

    private JsonNode? Field(string name) => fields.TryGetPropertyValue(name, out JsonNode? value)
        ? value
        : throw Lie(CheckpointError.MissingField, where, "a field is missing", $"no {name}", $"a field {Quoted(name)}");
}
