using System.Text.Json;
using System.Text.Json.Nodes;
using TorchAO.Checkpoints;

namespace TorchAO.Models.Llama.Loading;

/// <summary>Fields of a JSON object on disk, each read with its type or refused with its name.</summary>
internal sealed class JsonFields
{
    private const string Remedy = "Fetch the file again, or compare it with that of a model of the same family.";

    private readonly JsonObject fields;
    private readonly string where;

    private JsonFields(JsonObject fields, string where)
    {
        this.fields = fields;
        this.where = where;
    }

    /// <summary>Reads a file whose text is one JSON object.</summary>
    /// <exception cref="CheckpointException">The text is not JSON, not an object, or has a key twice.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static JsonFields Read(string path)
    {
        try
        {
            JsonNode? root = JsonNode.Parse(
                File.ReadAllBytes(path), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
            return new JsonFields(
                root as JsonObject ?? throw Lie(path, CheckpointError.InvalidField, "the JSON is not an object", Kind(root), "an object"),
                path);
        }
        catch (JsonException e)
        {
            throw new CheckpointException(
                CheckpointError.InvalidJson, path, "the text is not valid JSON", e.Message, "one JSON object", Remedy, e);
        }
    }

    /// <summary>Looks at an object in memory.</summary>
    public static JsonFields Of(JsonObject fields, string where) => new(fields, where);

    /// <summary>Tells whether a field is present and not null.</summary>
    public bool Has(string name) => fields[name] is not null;

    /// <summary>Gets the object in a field, or <see langword="null"/> where it is absent.</summary>
    public JsonFields? Object(string name) => fields[name] switch
    {
        null => null,
        JsonObject inner => new JsonFields(inner, $"{where}: {name}"),
        JsonNode other => throw Wrong(name, other, "an object"),
    };

    /// <summary>Gets a text, or the default where it is absent.</summary>
    public string Text(string name, string otherwise) => fields[name] switch
    {
        null => otherwise,
        JsonValue value when value.TryGetValue(out string? text) => text,
        JsonNode other => throw Wrong(name, other, "a string"),
    };

    /// <summary>Gets a flag, or the default where it is absent.</summary>
    public bool Flag(string name, bool otherwise) => fields[name] switch
    {
        null => otherwise,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        JsonNode other => throw Wrong(name, other, "true or false"),
    };

    /// <summary>Gets a positive finite number, or the default where it is absent.</summary>
    public double Number(string name, double? otherwise = null) => fields[name] switch
    {
        null => otherwise ?? throw Missing(name),
        JsonValue value when value.TryGetValue(out double number) && number > 0 && double.IsFinite(number) => number,
        JsonNode other => throw Wrong(name, other, "a positive number"),
    };

    /// <summary>Gets a positive whole number, or the default where it is absent.</summary>
    public int Count(string name, int? otherwise = null) => fields[name] switch
    {
        null => otherwise ?? throw Missing(name),
        JsonValue value when value.TryGetValue(out int number) && number > 0 => number,
        JsonNode other => throw Wrong(name, other, "a positive whole number"),
    };

    /// <summary>Gets a whole number from zero up, or the default where it is absent.</summary>
    public int CountOrZero(string name, int otherwise) => fields[name] switch
    {
        null => otherwise,
        JsonValue value when value.TryGetValue(out int number) && number >= 0 => number,
        JsonNode other => throw Wrong(name, other, "a whole number from 0 up"),
    };

    /// <summary>Gets token ids: one, several, or none where the field is absent.</summary>
    public IReadOnlyList<int> Ids(string name) => fields[name] switch
    {
        null => [],
        JsonArray array => [.. array.Select(item => Id(name, item))],
        JsonNode other => [Id(name, other)],
    };

    /// <summary>Describes a field that has a value of the right type and no meaning here.</summary>
    public CheckpointException Unsupported(string name, string got, string expected, string remedy) => new(
        CheckpointError.UnsupportedModel, $"{where}: {name}", "a model that is not supported", got, expected, remedy);

    /// <summary>Describes fields that contradict each other.</summary>
    public CheckpointException Contradiction(string what, string got, string expected) =>
        Lie(where, CheckpointError.InvalidField, what, got, expected);

    private int Id(string name, JsonNode? item) =>
        item is JsonValue value && value.TryGetValue(out int id) && id >= 0
            ? id : throw Wrong(name, item, "token ids: whole numbers from 0 up");

    private CheckpointException Wrong(string name, JsonNode? got, string expected) =>
        Lie($"{where}: {name}", CheckpointError.InvalidField, "a field has a value of the wrong kind", Kind(got), expected);

    private CheckpointException Missing(string name) =>
        Lie(where, CheckpointError.MissingField, "a field is missing", $"no {name}", "a positive number");

    private static CheckpointException Lie(string where, CheckpointError error, string what, string got, string expected) =>
        new(error, where, what, got, expected, Remedy);

    private static string Kind(JsonNode? node) => node is null ? "null" : CheckpointException.Quote(node.ToJsonString());
}
