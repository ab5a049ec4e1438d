using System.Text;

namespace TorchAO.Checkpoints;

/// <summary>A file of a checkpoint contradicts its format, itself or the question asked of it.</summary>
public sealed class CheckpointException : Exception
{
    private const int LongestName = 120;

    /// <summary>Describes one lie in one sentence: where, what, got, expected, what to do.</summary>
    /// <param name="error">The kind, for callers that handle kinds differently.</param>
    /// <param name="where">The file, and the tensor or field in it.</param>
    /// <param name="what">What is wrong, without a full stop.</param>
    /// <param name="got">What the file says.</param>
    /// <param name="expected">What it should say.</param>
    /// <param name="remedy">What the reader of the message can do, a full sentence.</param>
    /// <param name="inner">The error underneath, if there is one.</param>
    public CheckpointException(
        CheckpointError error,
        string where,
        string what,
        string got,
        string expected,
        string remedy,
        Exception? inner = null)
        : base($"{where}: {what}: got {got}; expected {expected}. {remedy}", inner)
    {
        Error = error;
    }

    /// <summary>Gets the kind of the lie.</summary>
    public CheckpointError Error { get; }

    /// <summary>Quotes a text out of an untrusted file: shortened, without control characters.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (Rune rune in text.EnumerateRunes().Take(LongestName))
        {
            quoted.Append(Rune.IsControl(rune) ? "\uFFFD" : rune.ToString());
        }

        return quoted.Append(text.Length > LongestName ? "…\"" : "\"").ToString();
    }
}
