using System.Text;

namespace TorchAO.Models.Generation;

/// <summary>Holds back text that may be the beginning of a stop text, and cuts at the first that is complete.</summary>
internal sealed class StopTextFilter(IReadOnlyList<string> stops)
{
    private readonly StringBuilder held = new();

    /// <summary>Adds text.</summary>
    /// <returns>What is certain not to be part of a stop text, and whether one was met.</returns>
    public (string Text, bool IsStopped) Add(string text)
    {
        if (stops.Count == 0)
        {
            return (text, false);
        }

        string all = held.Append(text).ToString();
        held.Clear();
        int first = stops.Select(stop => all.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
        if (first >= 0)
        {
            return (all[..first], true);
        }

        int keep = stops.Max(stop => Overlap(all, stop));
        held.Append(all, all.Length - keep, keep);
        return (all[..^keep], false);
    }

    /// <summary>Gives what is held back, at the end of the text.</summary>
    public string Flush()
    {
        string rest = held.ToString();
        held.Clear();
        return rest;
    }

    // The longest end of a text that a stop begins with.
    private static int Overlap(string text, string stop)
    {
        for (int length = Math.Min(text.Length, stop.Length - 1); length > 0; length--)
        {
            if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
            {
                return length;
            }
        }

        return 0;
    }
}
