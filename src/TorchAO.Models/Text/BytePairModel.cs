namespace TorchAO.Models.Text;

/// <summary>What a byte pair tokenizer does with a text, step by step.</summary>
internal sealed record BytePairModel
{
    /// <summary>Gets each token's id.</summary>
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    /// <summary>Gets what two neighbours merge to, and at which rank.</summary>
    public required IReadOnlyDictionary<(int Left, int Right), (int Id, int Rank)> Merges { get; init; }

    /// <summary>Gets what happens to a text first.</summary>
    public Func<string, string> Normalize { get; init; } = text => text;

    /// <summary>Gets how a text is cut into words, and whether it is the first piece between added tokens.</summary>
    public Func<string, bool, IEnumerable<string>> Split { get; init; } = (text, _) => [text];

    /// <summary>Gets whether words are spelt byte by byte in <see cref="ByteAlphabet"/>.</summary>
    public bool IsByteLevel { get; init; }

    /// <summary>Gets whether characters that the vocabulary lacks become tokens such as <c>&lt;0x0A&gt;</c>.</summary>
    public bool HasByteFallback { get; init; }

    /// <summary>Gets whether a word that is a token itself is never merged.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>Gets whether neighbouring unknown characters are one token.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>Gets the id of what the vocabulary lacks, or <see langword="null"/>.</summary>
    public int? UnknownId { get; init; }

    /// <summary>Gets what stands for a space in tokens, or <see langword="null"/> where spaces do.</summary>
    public string? SpaceMark { get; init; }

    /// <summary>Gets whether a decoded text loses the space it begins with.</summary>
    public bool DropsFirstSpace { get; init; }

    /// <summary>Reads merges, each two tokens of the vocabulary.</summary>
    /// <param name="vocabulary">The tokens.</param>
    /// <param name="pairs">The pairs in order of rank.</param>
    /// <param name="missing">Makes the error for a token that is not in the vocabulary.</param>
    public static Dictionary<(int Left, int Right), (int Id, int Rank)> Rank(
        IReadOnlyDictionary<string, int> vocabulary, IEnumerable<(string Left, string Right)> pairs, Func<string, Exception> missing)
    {
        int Id(string token) => vocabulary.TryGetValue(token, out int id) ? id : throw missing(token);
        var merges = new Dictionary<(int Left, int Right), (int Id, int Rank)>();
        foreach ((string left, string right) in pairs)
        {
            merges.TryAdd((Id(left), Id(right)), (Id(left + right), merges.Count));
        }

        return merges;
    }
}
