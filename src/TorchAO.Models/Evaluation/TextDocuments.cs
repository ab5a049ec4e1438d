using System.Text.RegularExpressions;

namespace TorchAO.Models.Evaluation;

/// <summary>Cuts a corpus into its documents.</summary>
public static partial class TextDocuments
{
    /// <summary>What stands between two documents of a TinyStories file.</summary>
    public const string EndOfText = "<|endoftext|>";

    /// <summary>Cuts a text at its separators; documents are trimmed, their runs of newlines become one, empty ones vanish.</summary>
    /// <param name="text">The corpus.</param>
    /// <param name="separator">What stands between two documents.</param>
    public static IEnumerable<string> Split(string text, string separator = EndOfText)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentException.ThrowIfNullOrEmpty(separator);
        return text.Split(separator).Select(document => Newlines().Replace(document.Trim(), "\n")).Where(document => document != "");
    }

    [GeneratedRegex("(\r?\n)+")]
    private static partial Regex Newlines();
}
