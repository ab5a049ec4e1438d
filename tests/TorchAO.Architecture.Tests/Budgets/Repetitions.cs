namespace TorchAO.Architecture.Tests.Budgets;

/// <summary>Finds code that stands twice: equal runs of tokens, whatever their layout and comments.</summary>
internal static class Repetitions
{
    /// <summary>Finds runs of at least <paramref name="length"/> equal tokens that occur in two places.</summary>
    /// <param name="files">The files to compare with each other and with themselves.</param>
    /// <param name="length">The shortest run that counts, in tokens.</param>
    public static IEnumerable<string> Find(IEnumerable<SourceFile> files, int length)
    {
        Dictionary<int, List<(SourceFile File, int Start)>> seen = [];
        foreach (SourceFile file in files)
        {
            IReadOnlyList<(string Text, int Line)> tokens = file.CodeTokens;
            int next = 0; // The first token behind the last repetition, so that each is told once.
            for (int start = 0; start + length <= tokens.Count; start++)
            {
                int hash = Hash(tokens, start, length);
                if (!seen.TryGetValue(hash, out List<(SourceFile File, int Start)>? places))
                {
                    seen[hash] = places = [];
                }

                foreach ((SourceFile earlier, int from) in places)
                {
                    int run = start < next || (earlier == file && start - from < length) ? 0
                        : Run(earlier.CodeTokens, from, tokens, start);
                    if (run >= length)
                    {
                        next = start + run;
                        yield return $"{file.Path}({tokens[start].Line}) repeats {run} tokens of "
                            + $"{earlier.Path}({earlier.CodeTokens[from].Line})";
                    }
                }

                places.Add((file, start));
            }
        }
    }

    private static int Hash(IReadOnlyList<(string Text, int Line)> tokens, int start, int length)
    {
        HashCode hash = default;
        for (int i = start; i < start + length; i++)
        {
            hash.Add(tokens[i].Text);
        }

        return hash.ToHashCode();
    }

    private static int Run(
        IReadOnlyList<(string Text, int Line)> a, int startOfA, IReadOnlyList<(string Text, int Line)> b, int startOfB)
    {
        int run = 0;
        while (startOfA + run < a.Count && startOfB + run < b.Count && a[startOfA + run].Text == b[startOfB + run].Text)
        {
            run++;
        }

        return run;
    }
}
