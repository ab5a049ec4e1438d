using System.Text;

namespace TorchAO.Tests.Errors;

/// <summary>The sections of <c>docs/errors.md</c>: each is written by the tests whose mistakes it lists.</summary>
internal static class ErrorPage
{
    /// <summary>The page, named from the root of the repository.</summary>
    public const string File = "docs/errors.md";

    private const string SectionMark = "## ";

    /// <summary>Reads a section, its heading included; empty where the page has none of this name.</summary>
    public static string Read(string section)
    {
        string page = System.IO.File.ReadAllText(RepositoryFiles.Path(File));
        (int start, int end) = Find(page, section);
        return page[start..end];
    }

    /// <summary>Replaces a section, or adds it at the end.</summary>
    public static void Write(string section, string text)
    {
        string path = RepositoryFiles.Path(File);
        string page = System.IO.File.ReadAllText(path);
        (int start, int end) = Find(page, section);
        string after = page[end..];
        string joined = $"{page[..start].TrimEnd()}\n\n{text}{(after.Length == 0 ? "" : $"\n{after}")}";
        System.IO.File.WriteAllText(path, joined);
    }

    /// <summary>Writes a section as it should stand on the page.</summary>
    public static string Format(string section, IEnumerable<(string Title, Answer Answer)> mistakes)
    {
        var text = new StringBuilder().Append(SectionMark).Append(section).Append('\n');
        foreach ((string title, Answer answer) in mistakes)
        {
            text.Append("\n### ").Append(title).Append("\n\n`").Append(answer.Kind).Append("`\n\n> ")
                .Append(Escape(answer.Text).ReplaceLineEndings("\n> ")).Append('\n');
        }

        return text.ToString();
    }

    // Messages hold patterns and lists in brackets, which a reader of the page should see as they are.
    private static string Escape(string text)
    {
        var escaped = new StringBuilder();
        foreach (char c in text)
        {
            escaped.Append(c is '*' or '_' or '[' or ']' or '<' or '>' or '`' or '\\' ? $"\\{c}" : c);
        }

        return escaped.ToString();
    }

    private static (int Start, int End) Find(string page, string section)
    {
        string heading = $"{SectionMark}{section}\n";
        int start = page.IndexOf($"\n{heading}", StringComparison.Ordinal);
        if (start < 0)
        {
            return (page.Length, page.Length);
        }

        int next = page.IndexOf($"\n{SectionMark}", start + heading.Length, StringComparison.Ordinal);
        return (start + 1, next < 0 ? page.Length : next + 1);
    }
}
