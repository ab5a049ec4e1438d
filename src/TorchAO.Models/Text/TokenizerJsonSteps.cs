using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ADRaffy.ENSNormalize;
using TorchAO.Checkpoints;

namespace TorchAO.Models.Text;

/// <summary>Reads the steps of a <c>tokenizer.json</c>: normalizer, pre-tokenizer, post-processor, decoder.</summary>
internal sealed class TokenizerJsonSteps(string path)
{
    private const string Metaspace = "\u2581";

    /// <summary>Reads what happens to a text before it is cut.</summary>
    public Func<string, string> Normalizer(JsonNode? step)
    {
        switch (Type(step))
        {
            case null:
                return text => text;
            case "Sequence":
                Func<string, string>[] parts = [.. Parts(step!, "normalizers").Select(Normalizer)];
                return text => parts.Aggregate(text, (done, part) => part(done));
            case "NFC":
                return text => Ascii.IsValid(text) ? text : ENSNormalize.NF.NFC(text);
            case "NFD":
                return text => Ascii.IsValid(text) ? text : ENSNormalize.NF.NFD(text);
            case "Prepend":
                string head = Text(step!, "prepend");
                return text => head + text;
            case "Replace":
                string old = Text(step!["pattern"], "String");
                string with = Text(step, "content");
                return text => text.Replace(old, with, StringComparison.Ordinal);
            default:
                throw Unknown("normalizer", step, "Sequence, NFC, NFD, Prepend or Replace");
        }
    }

    /// <summary>Reads how a text is cut into words.</summary>
    /// <param name="step">The step.</param>
    /// <param name="isByteLevel">Whether words are then spelt byte by byte.</param>
    public Func<string, bool, IEnumerable<string>> PreTokenizer(JsonNode? step, out bool isByteLevel)
    {
        isByteLevel = false;
        switch (Type(step))
        {
            case null:
                return (text, _) => [text];
            case "Sequence":
                var parts = new List<Func<string, bool, IEnumerable<string>>>();
                foreach (JsonNode? part in Parts(step!, "pretokenizers"))
                {
                    parts.Add(PreTokenizer(part, out bool isLevel));
                    isByteLevel |= isLevel;
                }

                return (text, isFirst) => parts.Aggregate(
                    Enumerable.Repeat(text, 1), (words, part) => words.SelectMany((word, i) => part(word, isFirst && i == 0)));
            case "ByteLevel":
                isByteLevel = true;
                bool addsSpace = Flag(step!, "add_prefix_space", true);
                bool cuts = Flag(step!, "use_regex", true);
                return (text, isFirst) =>
                {
                    string spaced = addsSpace && isFirst && !text.StartsWith(' ') ? " " + text : text;
                    return cuts ? TextSplitting.Words(spaced, isFirst) : [spaced];
                };
            case "Split":
                return Split(step!);
            case "Metaspace":
                return Marks(step!);
            case "Digits":
                var digits = new Regex(Flag(step!, "individual_digits", false) ? @"\p{N}" : @"\p{N}+", RegexOptions.CultureInvariant);
                return (text, _) => TextSplitting.Isolate(text, digits);
            default:
                throw Unknown("pre_tokenizer", step, "Sequence, ByteLevel, Split, Metaspace or Digits");
        }
    }

    /// <summary>Finds the template that says what a single text begins with, or <see langword="null"/>.</summary>
    public JsonObject? Template(JsonNode? step) => Type(step) switch
    {
        null or "ByteLevel" => null,
        "TemplateProcessing" => (JsonObject)step!,
        "Sequence" => Parts(step!, "processors").Select(Template).FirstOrDefault(template => template is not null),
        _ => throw Unknown("post_processor", step, "TemplateProcessing, ByteLevel or Sequence"),
    };

    /// <summary>Finds what stands for a space in tokens, or <see langword="null"/> where the bytes of a space do.</summary>
    public string? SpaceMark(JsonObject root) => Type(root["decoder"]) switch
    {
        null or "ByteLevel" => null,
        "Metaspace" => Metaspace,
        "Sequence" => Parts(root["decoder"]!, "decoders").Any(part => Type(part) is "Replace" or "Metaspace") ? Metaspace : null,
        _ => throw Unknown("decoder", root["decoder"], "ByteLevel, Metaspace or Sequence"),
    };

    /// <summary>Tells whether decoding takes away the space that encoding put before a text.</summary>
    public bool StripsFirstSpace(JsonNode? decoder) => Type(decoder) switch
    {
        "Metaspace" => Text(decoder!, "prepend_scheme", Flag(decoder!, "add_prefix_space", true) ? "always" : "never") != "never",
        "Sequence" => Parts(decoder!, "decoders").Any(part => Type(part) switch
        {
            "Strip" => true,
            "Replace" or "ByteFallback" or "Fuse" or "ByteLevel" => false,
            "Metaspace" => StripsFirstSpace(part),
            _ => throw Unknown("decoder", part, "Replace, ByteFallback, Fuse, Strip or Metaspace"),
        }),
        _ => false,
    };

    /// <summary>Demands that a field has one of the values that are done here.</summary>
    public void Only(JsonObject owner, string name, JsonNode? value, params JsonNode?[] allowed)
    {
        ArgumentNullException.ThrowIfNull(owner);
        if (!allowed.Any(one => JsonNode.DeepEquals(one, value)) && value is not null)
        {
            throw Unknown(name, value, string.Join(" or ", allowed.Select(one => one?.ToJsonString() ?? "nothing")));
        }
    }

    /// <summary>Makes the error for a step or a value that is not done here.</summary>
    public CheckpointException Unknown(string where, JsonNode? got, string expected) => new(
        CheckpointError.UnsupportedTokenizer, $"{path}: {where}", "a tokenizer that is not supported",
        got is null ? "nothing" : CheckpointException.Quote(got.ToJsonString()), expected,
        "Use the model's SentencePiece file (tokenizer.model) if there is one, or another model.");

    /// <summary>Makes the error for a file that contradicts itself.</summary>
    public CheckpointException Lie(string where, string what, string got, string expected) => new(
        CheckpointError.InvalidTokenizer, where.Length == 0 ? path : $"{path}: {where}", what, got, expected,
        "Fetch the tokenizer again, from the model's own source.");

    private Func<string, bool, IEnumerable<string>> Split(JsonNode step)
    {
        if (Flag(step, "invert", false) || Text(step, "behavior") is not ("Isolated" or "Removed"))
        {
            throw Unknown("pre_tokenizer", step, "Split with behavior Isolated or Removed, not inverted");
        }

        bool isRemoved = Text(step, "behavior") == "Removed";
        Regex pattern = Pattern(step["pattern"]);
        return isRemoved
            ? (text, _) => pattern.Split(text).Where(word => word.Length > 0)
            : (text, _) => TextSplitting.Isolate(text, pattern);
    }

    private Regex Pattern(JsonNode? pattern)
    {
        if (pattern is JsonObject fields && fields["String"] is not null)
        {
            return new Regex(Regex.Escape(Text(fields, "String")), RegexOptions.CultureInvariant);
        }

        string expression = Text(pattern, "Regex");
        try
        {
            return new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.Compiled);
        }
        catch (ArgumentException e)
        {
            throw Lie("pre_tokenizer", "a pattern is no regular expression", e.Message, "one that .NET understands");
        }
    }

    private Func<string, bool, IEnumerable<string>> Marks(JsonNode step)
    {
        string scheme = Text(step, "prepend_scheme", Flag(step, "add_prefix_space", true) ? "always" : "never");
        if (Text(step, "replacement", Metaspace) != Metaspace || scheme is not ("always" or "first" or "never"))
        {
            throw Unknown("pre_tokenizer", step, "Metaspace with U+2581, prepended always, first or never");
        }

        bool cuts = Flag(step, "split", true);
        return (text, isFirst) =>
        {
            string marked = text.Replace(" ", Metaspace, StringComparison.Ordinal);
            bool prepends = (scheme == "always" || (scheme == "first" && isFirst)) && !marked.StartsWith(Metaspace, StringComparison.Ordinal);
            string headed = prepends ? Metaspace + marked : marked;
            return cuts ? TextSplitting.BeforeMarks(headed, Metaspace) : [headed];
        };
    }

    private static string? Type(JsonNode? step) => (step as JsonObject)?["type"]?.GetValue<string>();

    private IEnumerable<JsonNode?> Parts(JsonNode step, string name) =>
        step[name] as JsonArray ?? throw Unknown(name, step[name], "an array");

    private string Text(JsonNode? step, string name, string? otherwise = null) =>
        step?[name] is JsonValue value && value.TryGetValue(out string? text) ? text : otherwise ?? throw Unknown(name, step?[name], "a string");

    private static bool Flag(JsonNode step, string name, bool otherwise) =>
        step[name] is JsonValue value && value.TryGetValue(out bool flag) ? flag : otherwise;
}
