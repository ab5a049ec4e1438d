using System.Text;
using System.Text.RegularExpressions;

namespace TorchAO.Architecture.Tests.Docs;

/// <summary>One Markdown page: its links, headings and C# snippets.</summary>
internal sealed partial class MarkdownPage
{
    private readonly List<Snippet> snippets = [];
    private readonly List<(string Target, int Line)> links = [];
    private readonly HashSet<string> anchors = [];
    private readonly List<(string Text, int Line)> commands = [];

    public MarkdownPage(string path, string text)
    {
        Path = path;
        string? fence = null;
        StringBuilder block = new();
        int blockLine = 0;
        int number = 0;
        foreach (string line in text.ReplaceLineEndings("\n").Split('\n'))
        {
            number++;
            if (line.TrimStart().StartsWith("```", StringComparison.Ordinal))
            {
                if (fence is null)
                {
                    (fence, blockLine) = (line.Trim()[3..].Trim(), number + 1);
                    block.Clear();
                }
                else
                {
                    Close(fence, block.ToString(), blockLine);
                    fence = null;
                }
            }
            else if (fence is not null)
            {
                block.Append(line).Append('\n');
            }
            else
            {
                ReadProse(line, number);
            }
        }

        IsFenceOpen = fence is not null;
    }

    public string Path { get; }

    public IReadOnlyList<Snippet> Snippets => snippets;

    public IReadOnlyList<(string Target, int Line)> Links => links;

    public IReadOnlySet<string> Anchors => anchors;

    /// <summary>Gets the lines of shell blocks, without prompts and comments.</summary>
    public IReadOnlyList<(string Text, int Line)> Commands => commands;

    public bool IsFenceOpen { get; }

    private void Close(string fence, string text, int line)
    {
        string[] words = fence.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        switch (words.FirstOrDefault())
        {
            case "csharp" or "cs" or "c#":
                snippets.Add(new Snippet(text, line, words.Contains("fragment")));
                break;
            case "bash" or "sh" or "shell" or "console":
                commands.AddRange(text.Split('\n').Select((command, index) => (command.Trim(), line + index))
                    .Where(command => command.Item1 is not "" && command.Item1[0] != '#'));
                break;
        }
    }

    private void ReadProse(string line, int number)
    {
        if (Heading().Match(line) is { Success: true } heading)
        {
            string anchor = Anchor(heading.Groups[1].Value);
            int copies = anchors.Count(known => known == anchor || known.StartsWith(anchor + "-", StringComparison.Ordinal));
            anchors.Add(anchors.Contains(anchor) ? $"{anchor}-{copies}" : anchor);
        }

        foreach (Match match in HtmlAnchor().Matches(line))
        {
            anchors.Add(match.Groups[1].Value);
        }

        string withoutCode = InlineCode().Replace(line, "");
        foreach (Match match in Link().Matches(withoutCode))
        {
            links.Add((match.Groups[1].Value, number));
        }
    }

    // The rule by which hosts make anchors: lower case, spaces to hyphens, punctuation dropped.
    private static string Anchor(string heading)
    {
        IEnumerable<char> kept = heading.Trim().ToLowerInvariant()
            .Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_').Select(c => c == ' ' ? '-' : c);
        return string.Concat(kept);
    }

    [GeneratedRegex(@"^#{1,6}\s+(.+?)\s*#*\s*$")]
    private static partial Regex Heading();

    [GeneratedRegex("<a (?:name|id)=\"([^\"]+)\"")]
    private static partial Regex HtmlAnchor();

    [GeneratedRegex("`[^`]*`(?!\\])")]
    private static partial Regex InlineCode();

    [GeneratedRegex(@"\]\(([^)\s]+)(?:\s+""[^""]*"")?\)")]
    private static partial Regex Link();
}
