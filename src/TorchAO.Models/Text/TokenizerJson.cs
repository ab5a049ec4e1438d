using System.Text.Json;
using System.Text.Json.Nodes;
using TorchAO.Checkpoints;

namespace TorchAO.Models.Text;

/// <summary>Reads <c>tokenizer.json</c> of Hugging Face's tokenizers, for byte pair encoding; anything it does not know is an error.</summary>
internal sealed class TokenizerJson
{
    private readonly string path;
    private readonly TokenizerJsonSteps steps;

    private TokenizerJson(string path)
    {
        this.path = path;
        steps = new TokenizerJsonSteps(path);
    }

    /// <summary>Opens a file; <c>tokenizer_config.json</c> beside it tells which token begins and ends a text.</summary>
    /// <exception cref="CheckpointException">The file lies, or asks for what is not done here.</exception>
    public static Tokenizer Open(string path)
    {
        var reader = new TokenizerJson(path);
        try
        {
            return reader.Read();
        }
        catch (InvalidOperationException e)
        {
            // What System.Text.Json answers where a field has a value of another kind.
            throw reader.steps.Lie(string.Empty, "a field has a value of the wrong kind", e.Message, "the fields of tokenizer.json");
        }
    }

    private BytePairTokenizer Read()
    {
        JsonObject root = Parse(path);
        JsonObject model = root["model"] as JsonObject ?? throw steps.Unknown("model", root["model"], "an object");
        steps.Only(model, "model.type", model["type"] ?? "BPE", "BPE");
        foreach (string affix in new[] { "dropout", "continuing_subword_prefix", "end_of_word_suffix" })
        {
            steps.Only(model, $"model.{affix}", model[affix], null, string.Empty);
        }

        Dictionary<string, int> vocabulary = ReadVocabulary(model);
        (Dictionary<string, int> added, HashSet<int> special) = ReadAdded(root);
        string? spaceMark = steps.SpaceMark(root);
        var pairs = new BytePairModel
        {
            Vocabulary = vocabulary,
            Merges = BytePairModel.Rank(vocabulary, ReadMerges(model), token => steps.Lie(
                "model.merges", "a merge names a token that is not in the vocabulary", CheckpointException.Quote(token), "tokens of model.vocab")),
            Normalize = steps.Normalizer(root["normalizer"]),
            Split = steps.PreTokenizer(root["pre_tokenizer"], out bool isByteLevel),
            IsByteLevel = isByteLevel,
            HasByteFallback = Flag(model, "byte_fallback"),
            IgnoresMerges = Flag(model, "ignore_merges"),
            FusesUnknown = Flag(model, "fuse_unk"),
            UnknownId = model["unk_token"] is JsonValue unknown && unknown.TryGetValue(out string? token)
                ? vocabulary.TryGetValue(token, out int id) || added.TryGetValue(token, out id) ? id
                    : throw steps.Lie("model.unk_token", "the unknown token is not in the vocabulary", CheckpointException.Quote(token), "a token")
                : null,
            SpaceMark = spaceMark,
            DropsFirstSpace = spaceMark is not null && steps.StripsFirstSpace(root["decoder"]),
        };
        JsonObject? config = Beside("tokenizer_config.json");
        return new BytePairTokenizer(path, pairs, added, special, Bos(root, config, added), Eos(config, added));
    }

    private Dictionary<string, int> ReadVocabulary(JsonObject model)
    {
        JsonObject vocabulary = model["vocab"] as JsonObject ?? throw steps.Unknown("model.vocab", model["vocab"], "an object of ids");
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string token, JsonNode? value) in vocabulary)
        {
            ids[token] = value is JsonValue number && number.TryGetValue(out int id) && id >= 0
                ? id
                : throw steps.Unknown($"model.vocab, token {CheckpointException.Quote(token)}", value, "an id from 0 up");
        }

        return ids;
    }

    // Older files write "a b", newer ones ["a", "b"].
    private IEnumerable<(string Left, string Right)> ReadMerges(JsonObject model)
    {
        JsonArray merges = model["merges"] as JsonArray ?? throw steps.Unknown("model.merges", model["merges"], "an array");
        foreach (JsonNode? merge in merges)
        {
            string[] parts = merge switch
            {
                JsonValue text when text.TryGetValue(out string? joined) => joined.Split(' '),
                JsonArray pair => [.. pair.Select(part => part?.GetValue<string>() ?? string.Empty)],
                _ => [],
            };
            yield return parts.Length == 2 ? (parts[0], parts[1]) : throw steps.Unknown("model.merges", merge, "two tokens");
        }
    }

    private (Dictionary<string, int> Added, HashSet<int> Special) ReadAdded(JsonObject root)
    {
        var added = new Dictionary<string, int>(StringComparer.Ordinal);
        var special = new HashSet<int>();
        foreach (JsonObject token in (root["added_tokens"] as JsonArray)?.OfType<JsonObject>() ?? [])
        {
            string text = token["content"]?.GetValue<string>() ?? throw steps.Unknown("added_tokens", token, "a token with content");
            int id = token["id"]?.GetValue<int>() ?? throw steps.Unknown("added_tokens", token, "a token with an id");
            foreach (string rule in new[] { "single_word", "lstrip", "rstrip" })
            {
                steps.Only(token, $"added_tokens, {text}: {rule}", token[rule], null, false);
            }

            added[text] = id;
            if (Flag(token, "special"))
            {
                special.Add(id);
            }
        }

        return (added, special);
    }

    // The template of the post-processor tells what a single text begins with; older exports leave it to the configuration.
    private int? Bos(JsonObject root, JsonObject? config, Dictionary<string, int> added)
    {
        JsonObject? template = steps.Template(root["post_processor"]);
        if (template is not null)
        {
            var first = (template["single"] as JsonArray)?.FirstOrDefault() as JsonObject;
            return first?["SpecialToken"] is JsonObject token && token["id"] is JsonValue name
                && added.TryGetValue(name.GetValue<string>(), out int id) ? id : null;
        }

        return config is not null && Flag(config, "add_bos_token") ? Named(config, "bos_token", added) : null;
    }

    private static IReadOnlyList<int> Eos(JsonObject? config, Dictionary<string, int> added) =>
        config is not null && Named(config, "eos_token", added) is int id ? [id] : [];

    private static int? Named(JsonObject config, string field, Dictionary<string, int> added)
    {
        string? token = config[field] switch
        {
            JsonValue text when text.TryGetValue(out string? plain) => plain,
            JsonObject described => described["content"]?.GetValue<string>(),
            _ => null,
        };
        return token is not null && added.TryGetValue(token, out int id) ? id : null;
    }

    private JsonObject? Beside(string name)
    {
        string beside = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!, name);
        return File.Exists(beside) ? Parse(beside) : null;
    }

    private JsonObject Parse(string file)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllBytes(file)) as JsonObject
                ?? throw steps.Lie(string.Empty, "the JSON is not an object", "another kind", "an object");
        }
        catch (JsonException e)
        {
            throw new CheckpointException(
                CheckpointError.InvalidJson, file, "the text is not valid JSON", e.Message, "one JSON object",
                "Fetch the tokenizer again, from the model's own source.", e);
        }
    }

    private static bool Flag(JsonObject fields, string name) =>
        fields[name] is JsonValue value && value.TryGetValue(out bool flag) && flag;
}
