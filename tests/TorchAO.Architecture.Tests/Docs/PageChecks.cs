using System.Text.RegularExpressions;

namespace TorchAO.Architecture.Tests.Docs;

/// <summary>Rules for links and commands of a page, over any set of files.</summary>
internal sealed partial class PageChecks(IReadOnlyCollection<string> files, Func<string, string> read)
{
    private readonly HashSet<string> known = [.. files, .. files.SelectMany(Folders)];

    /// <summary>Finds links to files, folders or headings that do not exist. Links to other sites are not followed.</summary>
    public IEnumerable<string> DeadLinks(MarkdownPage page)
    {
        foreach ((string target, int line) in page.Links.Where(link => !Address().IsMatch(link.Target)))
        {
            string[] halves = target.Split('#', 2);
            string file = halves[0].Length == 0 ? page.Path : Resolve(page.Path, Uri.UnescapeDataString(halves[0]));
            if (!known.Contains(file))
            {
                yield return $"{page.Path}({line}) links to {target}, but {file} does not exist";
            }
            else if (halves.Length == 2 && file.EndsWith(".md", StringComparison.Ordinal)
                && !new MarkdownPage(file, read(file)).Anchors.Contains(halves[1]))
            {
                yield return $"{page.Path}({line}) links to {target}, but {file} has no such heading";
            }
        }
    }

    /// <summary>Finds commands that name a script, project or folder of this repository that does not exist.</summary>
    public IEnumerable<string> DeadCommands(MarkdownPage page)
        => from command in page.Commands
           from match in RepositoryPath().Matches(command.Text)
           let path = match.Groups[1].Value.TrimEnd('/', '.')
           where !known.Contains(path) && !path.Contains('*', StringComparison.Ordinal)
           select $"{page.Path}({command.Line}) runs {path}, which does not exist";

    private static IEnumerable<string> Folders(string file)
    {
        for (int slash = file.LastIndexOf('/'); slash > 0; slash = file.LastIndexOf('/', slash - 1))
        {
            yield return file[..slash];
        }
    }

    private static string Resolve(string page, string target)
    {
        List<string> segments = [.. target.StartsWith('/') ? [] : page.Split('/')[..^1]];
        foreach (string segment in target.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (segment == ".." && segments.Count > 0)
            {
                segments.RemoveAt(segments.Count - 1);
            }
            else if (segment != ".")
            {
                segments.Add(segment);
            }
        }

        return string.Join('/', segments);
    }

    [GeneratedRegex("^[a-z][a-z0-9+.-]*:")]
    private static partial Regex Address();

    [GeneratedRegex(@"(?:^|[\s='""])(?:\./)?((?:src|tests|eng|bench|examples|assets|docs|\.ci)/[\w./*-]+)")]
    private static partial Regex RepositoryPath();
}
