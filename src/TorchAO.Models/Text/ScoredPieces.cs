using System.Text;
using System.Text.RegularExpressions;

namespace TorchAO.Models.Text;

/// <summary>A vocabulary of pieces with scores: what SentencePiece's byte pair encoding and llama2.c share.</summary>
/// <remarks>Characters merge in order of the scores of what they merge to; one that the vocabulary lacks becomes its bytes where
/// there are byte tokens, and the unknown token elsewhere.</remarks>
internal sealed record ScoredPieces
{
    /// <summary>Gets each id's text, with spaces as spaces.</summary>
    public required IReadOnlyList<string> Texts { get; init; }

    /// <summary>Gets each id's score; the highest merges first.</summary>
    public required IReadOnlyList<float> Scores { get; init; }

    /// <summary>Gets the ids that no text gives: unknown, control, unused and byte tokens.</summary>
    public required IReadOnlySet<int> Hidden { get; init; }

    /// <summary>Gets the ids without a text.</summary>
    public required IReadOnlySet<int> Controls { get; init; }

    /// <summary>Gets the ids that are found in a text before anything merges.</summary>
    public IReadOnlyList<int> Whole { get; init; } = [];

    /// <summary>Gets the id of what the vocabulary lacks.</summary>
    public required int Unknown { get; init; }

    /// <summary>Gets whether neighbouring unknown characters are one token.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>Gets what happens to a text first.</summary>
    public Func<string, string> Normalize { get; init; } = text => text;

    /// <summary>Gets whether a space goes before a text.</summary>
    public bool AddsSpace { get; init; } = true;
}

/// <summary>Encodes with <see cref="ScoredPieces"/>.</summary>
internal sealed class ScoredPieceTokenizer : Tokenizer
{
    private readonly ScoredPieces pieces;
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly int[] byteTokens = new int[256];
    private readonly PairMerger merger;
    private readonly TokenTable table;
    private readonly Regex? whole;

    /// <summary>Creates a tokenizer.</summary>
    /// <param name="path">The file it was read from.</param>
    /// <param name="pieces">The vocabulary.</param>
    /// <param name="bos">The id before a text, or <see langword="null"/>.</param>
    /// <param name="eos">The ids that end a text.</param>
    public ScoredPieceTokenizer(string path, ScoredPieces pieces, int? bos, IReadOnlyList<int> eos)
        : base(path)
    {
        (this.pieces, BosTokenId, EosTokenIds) = (pieces, bos, eos);
        Array.Fill(byteTokens, -1);
        for (int id = 0; id < pieces.Texts.Count; id++)
        {
            if (TokenTable.TryReadByte(pieces.Texts[id], out byte value))
            {
                byteTokens[value] = id;
            }
            else if (!pieces.Hidden.Contains(id))
            {
                ids.TryAdd(pieces.Texts[id], id);
            }
        }

        merger = new PairMerger((left, right) =>
            ids.TryGetValue(pieces.Texts[left] + pieces.Texts[right], out int id) ? (id, -pieces.Scores[id]) : null);
        table = new TokenTable(
            pieces.Texts.Count, pieces.Texts.Select((token, id) => (id, token)), pieces.Controls, pieces.Unknown);
        whole = pieces.Whole.Count == 0 ? null : new Regex(
            string.Join('|', pieces.Whole.Select(id => pieces.Texts[id]).OrderByDescending(text => text.Length).Select(Regex.Escape)),
            RegexOptions.CultureInvariant);
    }

    public override int VocabSize => pieces.Texts.Count;

    public override int? BosTokenId { get; }

    public override IReadOnlyList<int> EosTokenIds { get; }

    internal override bool DropsFirstSpace => pieces.AddsSpace;

    internal override ReadOnlySpan<byte> Bytes(int id) => table[id];

    private protected override void AppendTo(List<int> result, string text)
    {
        string normalized = pieces.Normalize(text);
        if (normalized.Length == 0)
        {
            return;
        }

        var symbols = new List<int>();
        string spaced = pieces.AddsSpace ? " " + normalized : normalized;
        foreach (string part in whole is null ? [spaced] : TextSplitting.Isolate(spaced, whole))
        {
            AppendSymbols(symbols, part);
        }

        merger.Merge(symbols, result);
    }

    private void AppendSymbols(List<int> symbols, string text)
    {
        if (whole is not null && ids.TryGetValue(text, out int known) && pieces.Whole.Contains(known))
        {
            symbols.Add(known);
            return;
        }

        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (ids.TryGetValue(rune.ToString(), out int id))
            {
                symbols.Add(id);
                continue;
            }

            ReadOnlySpan<byte> bytes = utf8[..rune.EncodeToUtf8(utf8)];
            if (byteTokens[bytes[0]] < 0)
            {
                if (!pieces.FusesUnknown || symbols.Count == 0 || symbols[^1] != pieces.Unknown)
                {
                    symbols.Add(pieces.Unknown);
                }

                continue;
            }

            foreach (byte part in bytes)
            {
                symbols.Add(byteTokens[part] >= 0 ? byteTokens[part] : pieces.Unknown);
            }
        }
    }
}
