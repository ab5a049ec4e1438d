using System.Text.RegularExpressions;

namespace TorchAO.Architecture.Tests.Budgets;

/// <summary>Finds the names of formats in files that must not know any of them.</summary>
/// <remarks>The names are read from the format folders, so a new format is covered the day its folder appears.</remarks>
internal sealed partial class FormatNames
{
    private readonly HashSet<string> typeNames;
    private readonly HashSet<string> catalogueNames;

    public FormatNames(IEnumerable<SourceFile> sources)
    {
        SourceFile[] formatFiles = [.. sources.Where(file => FormatFolder().IsMatch(file.Path))];
        typeNames = [.. formatFiles.SelectMany(file => file.DeclaredTypes)];
        // A format's card, XFormat.cs, holds its catalogue name as a literal equal to the folder name in lower case.
        catalogueNames = [.. formatFiles.Select(file => FormatFolder().Match(file.Path).Groups[1].Value)
            .Distinct().Select(name => name.ToLowerInvariant())];
    }

    public IEnumerable<string> TypeNames => typeNames;

    public IEnumerable<string> CatalogueNames => catalogueNames;

    /// <summary>Says whether a file may name formats: its own folder, the one list, the façade, dialects, the CLI.</summary>
    public static bool MayNameFormats(string path)
        => FormatFolder().IsMatch(path)
            || path == "src/TorchAO/Formats/BuiltInFormats.cs"
            || Path.GetDirectoryName(path)!.Replace('\\', '/') == "src/TorchAO"
            || path.StartsWith("src/TorchAO/Checkpoints/Dialects/", StringComparison.Ordinal)
            || path.StartsWith("src/TorchAO.Cli/", StringComparison.Ordinal);

    public IEnumerable<string> Find(SourceFile file)
    {
        if (MayNameFormats(file.Path))
        {
            yield break;
        }

        foreach ((string name, int line) in file.Identifiers.Where(found => typeNames.Contains(found.Name)))
        {
            yield return $"{file.Path}({line}) names the type {name}";
        }

        // Below the library a dtype is spelled like a format ("int8"); in the library such a word selects a format.
        if (file.Path.StartsWith("src/TorchAO/", StringComparison.Ordinal))
        {
            foreach ((string value, int line) in file.Strings.Where(found => catalogueNames.Contains(found.Value)))
            {
                yield return $"{file.Path}({line}) names the format \"{value}\"";
            }
        }
    }

    [GeneratedRegex("^src/TorchAO/Formats/([^/]+)/")]
    private static partial Regex FormatFolder();
}
