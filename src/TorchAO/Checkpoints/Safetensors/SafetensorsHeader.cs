using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace TorchAO.Checkpoints.Safetensors;

/// <summary>Reads the JSON header of a safetensors file and believes none of it.</summary>
/// <remarks>A streaming reader, because a document model hides duplicate keys.</remarks>
internal ref struct SafetensorsHeader
{
    /// <summary>The longest header that the format allows, in bytes.</summary>
    public const int MaximumBytes = 100_000_000;

    /// <summary>The key of the file's metadata, which no tensor may have.</summary>
    public const string MetadataKey = "__metadata__";

    private const int LongestExcerpt = 40;

    private const string Damaged = "The file is damaged or not a safetensors file: fetch or export it again.";

    private readonly string path;
    private Utf8JsonReader json;

    private SafetensorsHeader(string path, ReadOnlySpan<byte> header)
    {
        this.path = path;
        json = new Utf8JsonReader(header);
    }

    /// <summary>Parses and verifies a header.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="header">The JSON text with its padding.</param>
    /// <param name="dataBytes">The bytes of the file after the header.</param>
    /// <returns>The metadata, and the tensors in the order of their bytes.</returns>
    /// <exception cref="CheckpointException">The header contradicts the format, itself or the file's length.</exception>
    public static (Dictionary<string, string> Metadata, SafetensorsEntry[] Entries) Parse(
        string path, ReadOnlySpan<byte> header, long dataBytes)
    {
        if (!Utf8.IsValid(header))
        {
            throw new CheckpointException(
                CheckpointError.InvalidUtf8, path, "the header is not text", "invalid UTF-8", "JSON in UTF-8", Damaged);
        }

        if (header.IsEmpty || header[0] != (byte)'{')
        {
            CheckpointError error = IsJson(header) ? CheckpointError.HeaderNotObject : CheckpointError.InvalidJson;
            throw new CheckpointException(
                error, path, "the header is not a JSON object", Excerpt(header), "a text that begins with {", Damaged);
        }

        var parser = new SafetensorsHeader(path, header);
        try
        {
            (Dictionary<string, string> metadata, SafetensorsEntry[] entries) = parser.ReadFile();
            SafetensorsLayout.Verify(path, entries, dataBytes);
            return (metadata, entries);
        }
        catch (JsonException e)
        {
            throw new CheckpointException(
                CheckpointError.InvalidJson, path, "the header is not valid JSON",
                $"an error at byte {parser.json.BytesConsumed} of the header", "one JSON object", Damaged, e);
        }
    }

    private static bool IsJson(ReadOnlySpan<byte> text)
    {
        try
        {
            var reader = new Utf8JsonReader(text);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false; // an answer, not an error: the caller reports either case
        }
    }

    private (Dictionary<string, string> Metadata, SafetensorsEntry[] Entries) ReadFile()
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        var names = new HashSet<string>(StringComparer.Ordinal);
        var entries = new List<SafetensorsEntry>();
        json.Read();
        while (NextKey() is string name)
        {
            if (!names.Add(name))
            {
                throw Duplicate(path, name);
            }

            if (name == MetadataKey)
            {
                ReadMetadata(metadata);
            }
            else
            {
                entries.Add(ReadEntry(name));
            }
        }

        json.Read(); // throws where anything but white space follows the object
        entries.Sort((a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)) is int order && order != 0
            ? order : string.CompareOrdinal(a.Name, b.Name));
        return (metadata, [.. entries]);
    }

    private void ReadMetadata(Dictionary<string, string> metadata)
    {
        string where = $"{path}: {MetadataKey}";
        json.Read();
        if (json.TokenType != JsonTokenType.StartObject)
        {
            throw new CheckpointException(
                CheckpointError.InvalidMetadata, where, "the metadata is not an object", Token(), "an object of strings",
                Damaged);
        }

        while (NextKey() is string key)
        {
            json.Read();
            if (json.TokenType != JsonTokenType.String)
            {
                throw new CheckpointException(
                    CheckpointError.InvalidMetadata, $"{where}: {CheckpointException.Quote(key)}",
                    "a metadata value is not a string", Token(), "a string",
                    "Write structured metadata as JSON inside a string.");
            }

            if (!metadata.TryAdd(key, Text()))
            {
                throw Duplicate(where, key);
            }
        }
    }

    private SafetensorsEntry ReadEntry(string name)
    {
        string where = $"{path}: tensor {CheckpointException.Quote(name)}";
        json.Read();
        if (json.TokenType != JsonTokenType.StartObject)
        {
            throw new CheckpointException(
                CheckpointError.InvalidField, where, "a tensor's description is not an object", Token(),
                "an object with dtype, shape and data_offsets", Damaged);
        }

        string? dtype = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (NextKey() is string field)
        {
            bool isRepeated = field switch
            {
                "dtype" => dtype is not null,
                "shape" => shape is not null,
                "data_offsets" => offsets is not null,
                _ => throw new CheckpointException(
                    CheckpointError.UnknownField, where, "a field that the format does not know",
                    CheckpointException.Quote(field), "dtype, shape and data_offsets alone",
                    "Put extra facts into __metadata__."),
            };
            if (isRepeated)
            {
                throw Duplicate(where, field);
            }

            switch (field)
            {
                case "dtype":
                    dtype = ReadDType(where);
                    break;
                case "shape":
                    shape = ReadIntegers(where, field, CheckpointError.InvalidShape);
                    break;
                default:
                    offsets = ReadIntegers(where, field, CheckpointError.InvalidOffsets);
                    break;
            }
        }

        (long begin, long end) = Offsets(where, offsets ?? throw Missing(where, "data_offsets"));
        return new SafetensorsEntry(
            name, dtype ?? throw Missing(where, "dtype"), shape ?? throw Missing(where, "shape"), begin, end);
    }

    private string ReadDType(string where)
    {
        json.Read();
        if (json.TokenType != JsonTokenType.String)
        {
            throw new CheckpointException(
                CheckpointError.InvalidField, $"{where}: dtype", "a dtype is not a string", Token(), "a string", Damaged);
        }

        string dtype = Text();
        if (SafetensorsDType.TryFind(dtype, out _, out _))
        {
            return dtype;
        }

        bool isKnown = SafetensorsDType.IsUnsupported(dtype);
        throw new CheckpointException(
            isKnown ? CheckpointError.UnsupportedDType : CheckpointError.UnknownDType,
            where,
            isKnown ? "a dtype that tensors here cannot hold" : "a dtype that the format does not define",
            CheckpointException.Quote(dtype),
            "one of " + string.Join(", ", SafetensorsDType.Names),
            isKnown ? "Export the tensor in another dtype, for instance packed into U8." : Damaged);
    }

    private long[] ReadIntegers(string where, string field, CheckpointError error)
    {
        json.Read();
        if (json.TokenType != JsonTokenType.StartArray)
        {
            throw new CheckpointException(
                CheckpointError.InvalidField, $"{where}: {field}", "a list of numbers is missing", Token(), "an array",
                Damaged);
        }

        var values = new List<long>();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (json.TokenType != JsonTokenType.Number || !json.TryGetInt64(out long value) || value < 0)
            {
                throw new CheckpointException(
                    error, $"{where}: {field}", "not a whole number that fits", Token(),
                    $"whole numbers from 0 to {long.MaxValue}", Damaged);
            }

            values.Add(value);
        }

        return [.. values];
    }

    private static (long Begin, long End) Offsets(string where, long[] offsets)
    {
        if (offsets.Length != 2)
        {
            throw new CheckpointException(
                CheckpointError.InvalidOffsets, $"{where}: data_offsets", "not a pair", $"{offsets.Length} numbers",
                "two numbers, begin and end", Damaged);
        }

        return (offsets[0], offsets[1]);
    }

    /// <summary>Moves to the next key of the object the reader stands in, or out of it.</summary>
    private string? NextKey()
    {
        json.Read();
        return json.TokenType == JsonTokenType.PropertyName ? Text() : null;
    }

    private readonly string Text()
    {
        try
        {
            return json.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new CheckpointException(
                CheckpointError.InvalidUtf8, path, "a string of the header is not Unicode", Token(),
                "no half of a surrogate pair", Damaged, e);
        }
    }

    private readonly string Token() => json.TokenType switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        _ => Excerpt(json.ValueSpan),
    };

    private static string Excerpt(ReadOnlySpan<byte> text) =>
        text.IsEmpty ? "nothing"
            : CheckpointException.Quote(Encoding.UTF8.GetString(text[..Math.Min(text.Length, LongestExcerpt)]));

    private static CheckpointException Duplicate(string where, string key) => new(
        CheckpointError.DuplicateKey, where, "a key stands twice", CheckpointException.Quote(key), "each key once", Damaged);

    private static CheckpointException Missing(string where, string field) => new(
        CheckpointError.MissingField, where, "a field is missing", $"no {field}", "dtype, shape and data_offsets", Damaged);
}
