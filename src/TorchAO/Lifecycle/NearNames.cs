namespace TorchAO.Lifecycle;

/// <summary>Picks the known names nearest to one that is not known, for error messages.</summary>
internal static class NearNames
{
    /// <summary>Lists up to three names by edit distance.</summary>
    public static string List(string name, IEnumerable<string> known)
    {
        string[] nearest = [.. known.OrderBy(candidate => Distance(name, candidate)).Take(3)];
        return nearest.Length == 0 ? "none" : string.Join(", ", nearest.Select(near => $"'{near}'"));
    }

    // Levenshtein 1966, one row at a time.
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, 1 + Math.Min(row[j], row[j - 1]));
            }
        }

        return row[b.Length];
    }
}
