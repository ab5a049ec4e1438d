using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Configs as text: JSON in files, <c>int4_weight_only(group_size=32)</c> on a command line.</summary>
/// <remarks>
/// Names are the catalogue's and the options' in snake case; no class name is written. Short forms: <c>_weight_only</c> may be
/// <c>wo</c>, and <c>-32</c> at the end stands for <c>group_size=32</c>: <c>int4wo-32</c>. <see cref="ConfigListing"/> lists them all.
/// </remarks>
public static class ConfigText
{
    /// <summary>The option that a number behind a name stands for.</summary>
    internal const string GroupSizeOption = "group_size";

    private static readonly JsonSerializerOptions Options = MakeOptions(allowsNumbers: false);

    // Messages name a value that is no member too.
    private static readonly JsonSerializerOptions OptionsOfMessages = MakeOptions(allowsNumbers: true);

    /// <summary>Writes a config: its name as <c>config</c>, then its options.</summary>
    public static JsonObject ToJson(FormatCatalog catalog, QuantizeConfig config)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return Serialize(catalog.Handler(config), config, Options);
    }

    /// <summary>Writes the short form that <see cref="Parse"/> reads, with the options that differ from their defaults.</summary>
    /// <exception cref="QuantizationException">No format of the catalogue has this config.</exception>
    public static string Write(FormatCatalog catalog, QuantizeConfig config)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        IQuantizeHandler handler = catalog.Handler(config);
        JsonObject json = Serialize(handler, config, OptionsOfMessages);
        var unsaid = (QuantizeConfig)new JsonObject().Deserialize(handler.ConfigType, Options)!;
        JsonObject usual = Serialize(handler, unsaid, OptionsOfMessages);
        string[] options =
        [
            .. json.Where(option => !JsonNode.DeepEquals(option.Value, usual[option.Key]))
                .Select(option => $"{option.Key}={option.Value?.ToString() ?? "none"}"),
        ];
        return options.Length == 0 ? handler.ConfigName : $"{handler.ConfigName}({string.Join(", ", options)})";
    }

    /// <summary>Reads what <see cref="ToJson"/> writes; options that are absent have their defaults.</summary>
    /// <exception cref="QuantizationException">The name, an option or a value is not known; the message names near ones.</exception>
    public static QuantizeConfig FromJson(FormatCatalog catalog, JsonObject json)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(json);
        string name = json["config"] is JsonValue value && value.TryGetValue(out string? text)
            ? text
            : throw new QuantizationException($"config {json.ToJsonString()}: expected a member \"config\" with a name, got none.");
        IQuantizeHandler handler = Find(catalog, name);
        JsonObject options = json.DeepClone().AsObject();
        options.Remove("config");
        string[] known = [.. ToJson(catalog, handler.DefaultConfig).Select(member => member.Key).Where(key => key != "config")];
        if (options.Select(member => member.Key).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
        {
            throw new QuantizationException(
                $"config '{name}' has no option '{unknown}'; near: {NearNames.List(unknown, known)}. Correct or remove it.");
        }

        try
        {
            return (QuantizeConfig)options.Deserialize(handler.ConfigType, Options)!;
        }
        catch (JsonException e)
        {
            string option = e.Path?.TrimStart('$', '.') ?? "?";
            throw new QuantizationException(
                $"config '{name}': option '{option}' is {options[option]?.ToJsonString()}, expected {Expected(handler, option)}.", e);
        }
    }

    /// <summary>Reads the short form, such as <c>int4_weight_only(group_size=32, mapping_type=symmetric)</c>.</summary>
    /// <exception cref="QuantizationException">The text is malformed, or a name, an option or a value is not known.</exception>
    public static QuantizeConfig Parse(FormatCatalog catalog, string text)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrWhiteSpace(text);
        string trimmed = text.Trim();
        int open = trimmed.IndexOf('(', StringComparison.Ordinal);
        string name = open < 0 ? trimmed : trimmed[..open].Trim();
        var json = new JsonObject();
        int dash = name.LastIndexOf('-');
        if (dash > 0 && long.TryParse(name[(dash + 1)..], out long groupSize))
        {
            json[GroupSizeOption] = groupSize;
            name = name[..dash];
        }

        if (open >= 0)
        {
            if (!trimmed.EndsWith(')'))
            {
                throw new QuantizationException($"config '{text}': the bracket is not closed; write name(option=value, ...).");
            }

            foreach (string part in trimmed[(open + 1)..^1].Split(',', StringSplitOptions.RemoveEmptyEntries))
            {
                string[] pair = part.Split('=', 2, StringSplitOptions.TrimEntries);
                if (pair.Length != 2 || pair[0].Length == 0 || json.ContainsKey(pair[0]))
                {
                    throw new QuantizationException(
                        $"config '{text}': got '{part.Trim()}', expected option=value, each option once.");
                }

                json[pair[0]] = Value(pair[1]);
            }
        }

        json["config"] = name;
        return FromJson(catalog, json);
    }

    /// <summary>Gets the short form of a config's name, which is the name itself where it has none.</summary>
    internal static string ShortName(IQuantizeHandler handler) =>
        handler.ConfigName.Replace("_weight_only", "wo", StringComparison.Ordinal);

    /// <summary>Lists the options of a config with their defaults.</summary>
    internal static IReadOnlyList<ConfigOption> OptionsOf(FormatCatalog catalog, IQuantizeHandler handler)
    {
        Dictionary<string, string> properties = handler.ConfigType.GetProperties().ToDictionary(NameOf, property => property.Name);
        return
        [
            .. ToJson(catalog, handler.DefaultConfig).Where(option => option.Key != "config")
                .Select(option => new ConfigOption(option.Key, properties[option.Key], option.Value?.ToString() ?? "none")),
        ];
    }

    private static JsonObject Serialize(IQuantizeHandler handler, QuantizeConfig config, JsonSerializerOptions options)
    {
        var json = new JsonObject { ["config"] = handler.ConfigName };
        foreach ((string name, JsonNode? value) in JsonSerializer.SerializeToNode(config, handler.ConfigType, options)!.AsObject())
        {
            json[name] = value?.DeepClone();
        }

        return json;
    }

    private static JsonSerializerOptions MakeOptions(bool allowsNumbers) => new()
    {
        PropertyNamingPolicy = OptionNames.Instance,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters =
        {
            new ScalarTypeConverter(), new QuantizedTypeConverter(), new GranularityConverter(),
            new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowsNumbers),
        },
    };

    private static string Expected(IQuantizeHandler handler, string option)
    {
        Type type = handler.ConfigType.GetProperties().First(property => NameOf(property) == option).PropertyType;
        string expected = (Nullable.GetUnderlyingType(type) ?? type) switch
        {
            Type t when t == typeof(ScalarType) => "a type such as F8_E4M3, F32 or BF16",
            Type t when t.IsEnum => string.Join(
                " or ", Enum.GetValues(t).Cast<object>().Select(value => JsonSerializer.SerializeToNode(value, t, Options)!.ToString())),
            Type t when t == typeof(bool) => "true or false",
            Type t when t == typeof(long) || t == typeof(int) => "a whole number",
            _ => $"a value such as {Serialize(handler, handler.DefaultConfig, Options)[option]?.ToJsonString()}",
        };
        return Nullable.GetUnderlyingType(type) is null ? expected : $"{expected}, or none";
    }

    private static string NameOf(PropertyInfo property) =>
        property.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? OptionNames.Instance.ConvertName(property.Name);

    private static JsonValue? Value(string text) => text switch
    {
        "none" or "null" => null,
        "true" or "True" => JsonValue.Create(true),
        "false" or "False" => JsonValue.Create(false),
        _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole) => JsonValue.Create(whole),
        _ when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) => JsonValue.Create(number),
        _ => JsonValue.Create(text.Trim('"', '\'')),
    };

    private static IQuantizeHandler Find(FormatCatalog catalog, string name)
    {
        IQuantizeHandler[] handlers = [.. catalog.Handlers];
        IEnumerable<string> names = handlers.SelectMany(handler => new[] { ShortName(handler), handler.ConfigName }).Distinct();
        return handlers.FirstOrDefault(handler => handler.ConfigName == name || ShortName(handler) == name)
            ?? throw new QuantizationException(
                $"config '{name}' is not in the catalogue; near: {NearNames.List(name, names)}; " +
                $"known: {string.Join(", ", handlers.Select(ShortName))}.");
    }

    // Snake case as torchao writes it: dtype is one word.
    private sealed class OptionNames : JsonNamingPolicy
    {
        public static OptionNames Instance { get; } = new();

        public override string ConvertName(string name) =>
            SnakeCaseLower.ConvertName(name.Replace("DType", "Dtype", StringComparison.Ordinal));
    }

    private sealed class ScalarTypeConverter : JsonConverter<ScalarType>
    {
        public override ScalarType Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            (reader.TokenType == JsonTokenType.String ? ScalarTypes.Named(reader.GetString()!) : null)?.Type
            ?? throw new JsonException($"known types: {string.Join(", ", ScalarTypes.All.Select(type => type.Name))}");

        public override void Write(Utf8JsonWriter writer, ScalarType value, JsonSerializerOptions options) =>
            writer.WriteStringValue(ScalarTypes.NameOf(value));
    }
}
