using System.Text;
using System.Text.RegularExpressions;

namespace TorchAO.Models.Text;

/// <summary>Byte pair encoding as Hugging Face's tokenizers write it: byte-level (GPT-2, Llama 3, Qwen) or with byte fallback (Llama 2).</summary>
internal sealed class BytePairTokenizer : Tokenizer
{
    private readonly BytePairModel model;
    private readonly Dictionary<string, int> added;
    private readonly Regex? addedPattern;
    private readonly Dictionary<int, byte[]> bytes = [];
    private readonly PairMerger merger;

    /// <summary>Creates a tokenizer.</summary>
    /// <param name="path">The file it was read from.</param>
    /// <param name="model">Vocabulary, merges and the steps before them.</param>
    /// <param name="added">Tokens that are found in a text before anything else.</param>
    /// <param name="special">Those of them that have no text.</param>
    /// <param name="bos">The id before a text, or <see langword="null"/>.</param>
    /// <param name="eos">The ids that end a text.</param>
    public BytePairTokenizer(
        string path,
        BytePairModel model,
        Dictionary<string, int> added,
        IReadOnlySet<int> special,
        int? bos,
        IReadOnlyList<int> eos)
        : base(path)
    {
        (this.model, this.added, BosTokenId, EosTokenIds) = (model, added, bos, eos);
        merger = new PairMerger((left, right) => model.Merges.TryGetValue((left, right), out (int Id, int Rank) merge) ? merge : null);
        foreach ((string token, int id) in model.Vocabulary)
        {
            bytes[id] = BytesOf(token, id);
        }

        foreach ((string token, int id) in added)
        {
            bytes[id] = special.Contains(id) ? [] : Encoding.UTF8.GetBytes(token);
        }

        VocabSize = bytes.Keys.Max() + 1;

        // The longest first, so that no token hides behind one that it begins with.
        addedPattern = added.Count == 0 ? null : new Regex(
            string.Join('|', added.Keys.OrderByDescending(token => token.Length).Select(Regex.Escape)), RegexOptions.CultureInvariant);
    }

    public override int VocabSize { get; }

    public override int? BosTokenId { get; }

    public override IReadOnlyList<int> EosTokenIds { get; }

    internal override bool DropsFirstSpace => model.DropsFirstSpace;

    internal override ReadOnlySpan<byte> Bytes(int id) => bytes.TryGetValue(id, out byte[]? found) ? found
        : (uint)id < (uint)VocabSize ? []
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"no such token; the vocabulary has ids from 0 to {VocabSize - 1}.");

    private protected override void AppendTo(List<int> ids, string text)
    {
        int at = 0;
        foreach (Match match in (IEnumerable<Match>?)addedPattern?.Matches(text) ?? [])
        {
            AppendPlain(ids, text[at..match.Index], isFirst: at == 0);
            ids.Add(added[match.Value]);
            at = match.Index + match.Length;
        }

        AppendPlain(ids, text[at..], isFirst: at == 0);
    }

    private void AppendPlain(List<int> ids, string text, bool isFirst)
    {
        if (text.Length == 0)
        {
            return;
        }

        foreach (string word in model.Split(model.Normalize(text), isFirst))
        {
            string spelt = model.IsByteLevel ? ByteAlphabet.Spell(word) : word;
            if (model.IgnoresMerges && model.Vocabulary.TryGetValue(spelt, out int whole))
            {
                ids.Add(whole);
            }
            else
            {
                merger.Merge(Symbols(spelt), ids);
            }
        }
    }

    private List<int> Symbols(string word)
    {
        var symbols = new List<int>();
        Span<byte> utf8 = stackalloc byte[4];
        bool wasUnknown = false;
        foreach (Rune rune in word.EnumerateRunes())
        {
            if (model.Vocabulary.TryGetValue(rune.ToString(), out int id))
            {
                symbols.Add(id);
                wasUnknown = false;
                continue;
            }

            int count = rune.EncodeToUtf8(utf8);
            int[]? fallback = model.HasByteFallback ? ByteTokens(utf8[..count]) : null;
            if (fallback is not null)
            {
                symbols.AddRange(fallback);
            }
            else if (model.UnknownId is int unknown && !(wasUnknown && model.FusesUnknown))
            {
                symbols.Add(unknown);
            }

            wasUnknown = fallback is null;
        }

        return symbols;
    }

    private int[]? ByteTokens(ReadOnlySpan<byte> utf8)
    {
        int[] ids = new int[utf8.Length];
        for (int i = 0; i < utf8.Length; i++)
        {
            if (!model.Vocabulary.TryGetValue($"<0x{utf8[i]:X2}>", out ids[i]))
            {
                return null;
            }
        }

        return ids;
    }

    private byte[] BytesOf(string token, int id)
    {
        if (!model.IsByteLevel)
        {
            return TokenTable.TryReadByte(token, out byte value) ? [value]
                : id == model.UnknownId ? Encoding.UTF8.GetBytes("\uFFFD")
                : Encoding.UTF8.GetBytes(token.Replace(model.SpaceMark ?? " ", " ", StringComparison.Ordinal));
        }

        // A byte-level vocabulary may hold special tokens spelt in other characters; they are among the added ones.
        return ByteAlphabet.Read(token) ?? (id == model.UnknownId ? Encoding.UTF8.GetBytes("\uFFFD") : Encoding.UTF8.GetBytes(token));
    }
}
