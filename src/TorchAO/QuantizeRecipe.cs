using System.Text.Json;
using System.Text.Json.Nodes;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using static TorchSharp.torch;

namespace TorchAO;

/// <summary>How a model is quantized, as a file: the rules, and the kinds of modules they look at.</summary>
/// <param name="Rules">The rules in order.</param>
/// <remarks>
/// A recipe is JSON; comments and trailing commas are allowed:
/// <code>
/// {
///   "modules": ["linear", "embedding"],
///   "rules": [
///     { "match": "lm_head", "config": "skip" },
///     { "match": "*.down_proj", "config": "int8wo" },
///     { "match": "*", "config": { "config": "int4_weight_only", "group_size": 32 }, "device": "cpu" }
///   ]
/// }
/// </code>
/// A config is the short form of the command line or an object with its options.
/// </remarks>
public sealed record QuantizeRecipe(ModuleRules Rules)
{
    private const string SkipWord = "skip";

    private static readonly JsonDocumentOptions Lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Gets which kinds of modules are looked at.</summary>
    public ModuleKinds Modules { get; init; } = ModuleKinds.Linear;

    /// <summary>Reads a recipe file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="catalog">The formats; the built-in ones if absent.</param>
    /// <exception cref="QuantizationException">The file is no recipe; the message names the rule.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static QuantizeRecipe Read(string path, FormatCatalog? catalog = null) => Parse(File.ReadAllText(path), catalog, path);

    /// <summary>Reads the text of a recipe.</summary>
    /// <param name="json">The text.</param>
    /// <param name="catalog">The formats; the built-in ones if absent.</param>
    /// <param name="origin">What messages call the text.</param>
    /// <exception cref="QuantizationException">The text is no recipe; the message names the rule.</exception>
    public static QuantizeRecipe Parse(string json, FormatCatalog? catalog = null, string origin = "recipe")
    {
        ArgumentNullException.ThrowIfNull(json);
        JsonObject recipe;
        try
        {
            recipe = JsonNode.Parse(json, documentOptions: Lenient) as JsonObject
                ?? throw new QuantizationException($"{origin}: expected an object with \"rules\", got {json.Trim()[..Math.Min(20, json.Trim().Length)]}.");
            RequireMembers(recipe, origin, "modules", "rules");
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new QuantizationException($"{origin}: not JSON: {e.Message.Split('\n')[0].TrimEnd('.')}. Correct the file.", e);
        }

        if (recipe["rules"] is not JsonArray { Count: > 0 } written)
        {
            throw new QuantizationException(
                $"{origin}: \"rules\" is {recipe["rules"]?.ToJsonString() ?? "missing"}, expected a list with at least one rule, such as " +
                "{ \"match\": \"*\", \"config\": \"int8wo\" }.");
        }

        var rules = new ModuleRules();
        for (int i = 0; i < written.Count; i++)
        {
            AddRule(rules, written[i], catalog ?? BuiltInFormats.Catalog, $"{origin}: rule {i + 1}");
        }

        return new QuantizeRecipe(rules) { Modules = ReadModules(recipe["modules"], origin) };
    }

    /// <summary>Writes the recipe as <see cref="Parse"/> reads it.</summary>
    /// <param name="catalog">The formats; the built-in ones if absent.</param>
    public string ToJson(FormatCatalog? catalog = null)
    {
        var rules = new JsonArray();
        foreach (ModuleRule rule in Rules)
        {
            var written = new JsonObject
            {
                ["match"] = rule.Pattern,
                ["config"] = rule.Config is null ? SkipWord : ConfigText.ToJson(catalog ?? BuiltInFormats.Catalog, rule.Config),
            };
            if (rule.Device is not null)
            {
                written["device"] = rule.Device.ToString();
            }

            rules.Add(written);
        }

        var modules = new JsonArray([.. Kinds().Where(kind => Modules.HasFlag(kind)).Select(kind => JsonValue.Create(NameOf(kind)))]);
        return new JsonObject { ["modules"] = modules, ["rules"] = rules }.ToJsonString(Indented);
    }

    private static void AddRule(ModuleRules rules, JsonNode? node, FormatCatalog catalog, string where)
    {
        if (node is not JsonObject rule || Text(rule["match"]) is not { } pattern)
        {
            throw new QuantizationException(
                $"{where} is {node?.ToJsonString() ?? "null"}, expected an object with \"match\" and \"config\".");
        }

        RequireMembers(rule, where, "match", "config", "device");
        try
        {
            rules.Add(pattern, Config(rule["config"], catalog), ReadDevice(rule["device"]));
        }
        catch (Exception e) when (e is QuantizationException or ArgumentException)
        {
            throw new QuantizationException($"{where} ('{pattern}'): {e.Message.Split(" (Parameter", 2)[0]}", e);
        }
    }

    private static QuantizeConfig Config(JsonNode? config, FormatCatalog catalog) => config switch
    {
        JsonObject options => ConfigText.FromJson(catalog, options),
        JsonValue when Text(config) == SkipWord => ModuleRules.Skip,
        JsonValue when Text(config) is { Length: > 0 } text => ConfigText.Parse(catalog, text),
        _ => throw new QuantizationException(
            $"\"config\" is {config?.ToJsonString() ?? "missing"}, expected \"{SkipWord}\", a text such as \"int4wo-32\", or an object."),
    };

    private static Device? ReadDevice(JsonNode? device)
    {
        if (device is null)
        {
            return null;
        }

        string? text = Text(device);
        bool isKnown = text is "cpu" or "cuda" || (text?.StartsWith("cuda:", StringComparison.Ordinal) == true
            && int.TryParse(text[5..], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out _));
        return isKnown ? new Device(text) : throw new QuantizationException(
            $"\"device\" is {device.ToJsonString()}, expected \"cpu\", \"cuda\" or \"cuda:0\".");
    }

    private static ModuleKinds ReadModules(JsonNode? modules, string origin)
    {
        if (modules is null)
        {
            return ModuleKinds.Linear;
        }

        ModuleKinds kinds = ModuleKinds.None;
        foreach (JsonNode? written in modules as JsonArray ?? [])
        {
            ModuleKinds kind = Kinds().FirstOrDefault(kind => NameOf(kind) == Text(written));
            if (kind == ModuleKinds.None)
            {
                kinds = ModuleKinds.None;
                break;
            }

            kinds |= kind;
        }

        return kinds != ModuleKinds.None ? kinds : throw new QuantizationException(
            $"{origin}: \"modules\" is {modules.ToJsonString()}, expected a list of {string.Join(", ", Kinds().Select(NameOf))}.");
    }

    private static void RequireMembers(JsonObject json, string where, params string[] known)
    {
        if (json.Select(member => member.Key).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
        {
            throw new QuantizationException(
                $"{where}: unknown member \"{unknown}\", expected {string.Join(", ", known)}; near: {NearNames.List(unknown, known)}.");
        }
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static IEnumerable<ModuleKinds> Kinds() => [ModuleKinds.Linear, ModuleKinds.Embedding, ModuleKinds.Convolution];

    private static string NameOf(ModuleKinds kind) => JsonNamingPolicy.SnakeCaseLower.ConvertName($"{kind}");
}
