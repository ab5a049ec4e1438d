using System.Text.Json;
using System.Text.RegularExpressions;
using TorchAO.Formats;
using TorchAO.Lifecycle;

namespace TorchAO.Cli;

/// <summary>Says in the words of the command line what the library says in those of its classes.</summary>
/// <remarks>
/// The library's messages name properties and members, <c>a GroupSize of 32, or null</c>, which nobody can type after
/// <c>--quantize</c>. The words come from the catalogue, so that a new option has its translation.
/// </remarks>
internal static partial class CommandWords
{
    // Names of one hump, such as Scale, are ordinary words too; Granularity is not.
    private static readonly Dictionary<string, string> Options = ConfigListing.Of(BuiltInFormats.Catalog)
        .SelectMany(config => config.Options).DistinctBy(option => option.Property)
        .Where(option => option.Property == "Granularity" || option.Property.Count(char.IsUpper) > 1)
        .ToDictionary(option => option.Property, option => option.Name);

    /// <summary>Translates a message.</summary>
    public static string Of(string message)
    {
        string text = MemberPattern().Replace(message, match => Options.TryGetValue(match.Groups[1].Value, out string? option)
            ? $"{option}={Snake(match.Groups[2].Value)}"
            : match.Value);
        return WordPattern().Replace(text, match => match.Value switch
        {
            "null" => "none",
            "PerRow" or "PerTensor" or "PerToken" or "PerGroup" or "PerAxis" => Snake(match.Value),
            string word => Options.GetValueOrDefault(word, word),
        });
    }

    /// <summary>Translates the reasons of a report.</summary>
    public static QuantizeReport Of(QuantizeReport report) =>
        new([.. report.Layers.Select(layer => layer.Reason is null ? layer : layer with { Reason = Of(layer.Reason) })]);

    private static string Snake(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    [GeneratedRegex(@"\b([A-Z]\w+)\.([A-Z]\w+)\b")]
    private static partial Regex MemberPattern();

    // A word in quotes or in a path is somebody's name.
    [GeneratedRegex(@"(?<![\w/.'""])(?:null|[A-Z]\w*[A-Z]\w*|Granularity)(?![\w/'""])")]
    private static partial Regex WordPattern();
}
