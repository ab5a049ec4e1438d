using System.Text.RegularExpressions;

namespace TorchAO.Models.Text;

/// <summary>Ways to cut a text into words before pairs are merged.</summary>
internal static partial class TextSplitting
{
    /// <summary>Cuts as GPT-2 does: contractions, letters, digits, other signs, each with the space before it.</summary>
    public static IEnumerable<string> Words(string text, bool isFirst) => Matches(text, Gpt2());

    /// <summary>Cuts at a pattern; what matches and what lies between are words of their own.</summary>
    public static IEnumerable<string> Isolate(string text, Regex pattern)
    {
        int at = 0;
        foreach (Match match in pattern.Matches(text))
        {
            if (match.Length == 0)
            {
                continue;
            }

            if (match.Index > at)
            {
                yield return text[at..match.Index];
            }

            yield return match.Value;
            at = match.Index + match.Length;
        }

        if (at < text.Length)
        {
            yield return text[at..];
        }
    }

    /// <summary>Cuts before each mark, which stays at the head of its word.</summary>
    public static IEnumerable<string> BeforeMarks(string text, string mark)
    {
        int at = 0;
        for (int next = text.IndexOf(mark, 1, StringComparison.Ordinal); next > 0;
            next = next + 1 < text.Length ? text.IndexOf(mark, next + 1, StringComparison.Ordinal) : -1)
        {
            yield return text[at..next];
            at = next;
        }

        yield return text[at..];
    }

    private static IEnumerable<string> Matches(string text, Regex pattern) => pattern.Matches(text).Select(match => match.Value);

    [GeneratedRegex(@"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    private static partial Regex Gpt2();
}
