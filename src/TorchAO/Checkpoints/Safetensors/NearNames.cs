namespace TorchAO.Checkpoints.Safetensors;

/// <summary>Finds names that a misspelt one may have meant, for error messages.</summary>
internal static class NearNames
{
    private const int Shown = 3;

    /// <summary>Returns up to three names in order of their edit distance, none where nothing is near.</summary>
    public static IReadOnlyList<string> Of(string name, IEnumerable<string> candidates)
    {
        int limit = Math.Max(2, name.Length / 3);
        return
        [
            .. candidates
                .Select(candidate => (Name: candidate, Distance: Distance(name, candidate, limit)))
                .Where(candidate => candidate.Distance <= limit)
                .OrderBy(candidate => candidate.Distance)
                .ThenBy(candidate => candidate.Name, StringComparer.Ordinal)
                .Take(Shown)
                .Select(candidate => candidate.Name),
        ];
    }

    /// <summary>The Levenshtein distance, or anything above the limit where it is larger.</summary>
    private static int Distance(string a, string b, int limit)
    {
        if (Math.Abs(a.Length - b.Length) > limit)
        {
            return limit + 1;
        }

        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
