using System.Text;

namespace TorchAO.Lifecycle;

/// <summary>Rows of text in columns that are as wide as their widest cell.</summary>
internal static class TextTable
{
    /// <summary>Appends a table, one line a row.</summary>
    /// <param name="text">What it is appended to.</param>
    /// <param name="rows">The cells, all rows as long as the first.</param>
    /// <param name="isNumber">Tells of a column whether its cells are aligned at their ends.</param>
    /// <param name="indent">What each line begins with.</param>
    public static void Append(StringBuilder text, string[][] rows, Func<int, bool> isNumber, string indent = "")
    {
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(i => rows.Max(row => row[i].Length))];
        foreach (string[] row in rows)
        {
            text.Append(indent).AppendLine(string.Join("  ", row.Select((cell, i) => isNumber(i)
                ? cell.PadLeft(widths[i])
                : cell.PadRight(widths[i]))).TrimEnd());
        }
    }
}
