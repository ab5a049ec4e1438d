namespace TorchAO;

/// <summary>Finds the names that a misspelt one may have meant, for error messages.</summary>
internal static class NearNames
{
    private const int Shown = 3;

    /// <summary>Lists up to three names, each in quotes, or "none" where there is nothing to choose from.</summary>
    public static string List(string name, IEnumerable<string> known)
    {
        string[] nearest = [.. Nearest(name, known).Take(Shown).Select(near => $"'{near.Name}'")];
        return nearest.Length == 0 ? "none" : string.Join(", ", nearest);
    }

    /// <summary>Returns up to three names in order of their edit distance, none where nothing is near.</summary>
    public static IReadOnlyList<string> Of(string name, IEnumerable<string> known)
    {
        int limit = Math.Max(2, name.Length / 3);
        return [.. Nearest(name, known).TakeWhile(near => near.Distance <= limit).Take(Shown).Select(near => near.Name)];
    }

    private static IEnumerable<(string Name, int Distance)> Nearest(string name, IEnumerable<string> known) =>
        known.Select(candidate => (Name: candidate, Distance: Distance(name, candidate)))
            .OrderBy(candidate => candidate.Distance)
            .ThenBy(candidate => candidate.Name, StringComparer.Ordinal);

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
