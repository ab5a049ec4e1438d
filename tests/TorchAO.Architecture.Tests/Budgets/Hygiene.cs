using System.Text.RegularExpressions;

namespace TorchAO.Architecture.Tests.Budgets;

/// <summary>Rules for every file of the repository, whatever its language.</summary>
internal static partial class Hygiene
{
    // Written in two halves, so that this list does not offend itself.
    private static readonly string[] privatePaths =
        ["/wo" + "rk/", "/ro" + "ot/", "/fa" + "rm/", "/tmp/w" + "t", "/tmp/he" + "lpers"];

    private static readonly string[] forbiddenWords =
        ["Utils", "Util", "Utilities", "Helpers", "Helper", "Common", "Misc", "Manager", "Impl", "Base", "Prototype", "V2"];

    private static readonly string[] forbiddenFolders = ["Experimental", "Shared", "Stuff"];

    /// <summary>Finds path segments that say nothing about what is inside.</summary>
    public static IEnumerable<string> EmptyNames(string path)
    {
        string[] segments = path.Split('/');
        foreach (string folder in segments[..^1])
        {
            if (forbiddenFolders.Contains(folder, StringComparer.OrdinalIgnoreCase) || Words(folder).Any(IsEmpty))
            {
                yield return $"{path}: folder {folder}";
            }
        }

        string[] words = [.. Words(Path.GetFileNameWithoutExtension(segments[^1]))];
        // A suffix is what a name ends in (TensorHelper); Base also begins words that mean something (BaseModel).
        if (words.Length > 0 && IsEmpty(words[^1]))
        {
            yield return $"{path}: file name ends in {words[^1]}";
        }
    }

    public static IEnumerable<int> UnnumberedMarks(string text)
        => LinesWhere(text, line => Mark().IsMatch(line) && !IssueNumber().IsMatch(line));

    public static IEnumerable<int> MachinePaths(string text)
        => LinesWhere(text, line => privatePaths.Any(path => line.Contains(path, StringComparison.Ordinal)));

    private static IEnumerable<int> LinesWhere(string text, Func<string, bool> isOffence)
        => text.Split('\n').Select((line, index) => (line, Number: index + 1)).Where(pair => isOffence(pair.line))
            .Select(pair => pair.Number);

    private static bool IsEmpty(string word) => forbiddenWords.Contains(word, StringComparer.OrdinalIgnoreCase);

    private static IEnumerable<string> Words(string name)
        => Word().Matches(name).Select(match => match.Value);

    [GeneratedRegex("[A-Z]+(?![a-z])[0-9]*|[A-Z][a-z0-9]*|[a-z0-9]+")]
    private static partial Regex Word();

    [GeneratedRegex(@"\b(TO" + @"DO|FIX" + @"ME|HA" + @"CK|XX" + @"X)\b")]
    private static partial Regex Mark();

    [GeneratedRegex(@"#\d+")]
    private static partial Regex IssueNumber();
}
