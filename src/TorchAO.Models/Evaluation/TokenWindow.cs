namespace TorchAO.Models.Evaluation;

/// <summary>A stretch of tokens that a model reads at once, and which of them are scored.</summary>
/// <param name="Ids">The token ids, at least two.</param>
/// <param name="FirstScored">The index of the first id whose probability counts, at least 1; those before it are context.</param>
public sealed record TokenWindow(IReadOnlyList<int> Ids, int FirstScored = 1)
{
    /// <summary>Gets how many predictions the window scores.</summary>
    public int Scored => Ids.Count - FirstScored;

    /// <summary>Makes one window a document: its beginning, cut to the longest sequence, all ids but the first scored.</summary>
    /// <param name="documents">The ids of each document; those with fewer than two are left out.</param>
    /// <param name="length">The longest window in tokens.</param>
    public static IEnumerable<TokenWindow> OfDocuments(IEnumerable<IReadOnlyList<int>> documents, int length)
    {
        ArgumentNullException.ThrowIfNull(documents);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        return documents.Where(ids => ids.Count >= 2)
            .Select(ids => new TokenWindow(ids.Count <= length ? ids : [.. ids.Take(length)]));
    }

    /// <summary>Slides over one long text, so that each id but the first is scored exactly once.</summary>
    /// <param name="ids">The text.</param>
    /// <param name="length">The window in tokens.</param>
    /// <param name="stride">How far the window moves; the ids it has seen before are context. The smaller, the more context each
    /// prediction has and the longer it takes.</param>
    public static IEnumerable<TokenWindow> Slide(IReadOnlyList<int> ids, int length, int stride)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        ArgumentOutOfRangeException.ThrowIfLessThan(stride, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(stride, length);
        return Windows();

        IEnumerable<TokenWindow> Windows()
        {
            int scored = 1; // ids before this index have been scored, or begin the text
            for (int begin = 0; scored < ids.Count; begin += stride)
            {
                int end = Math.Min(begin + length, ids.Count);
                yield return new TokenWindow([.. ids.Skip(begin).Take(end - begin)], scored - begin);
                scored = end;
            }
        }
    }
}
