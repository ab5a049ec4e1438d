namespace TorchAO.Models.Text;

/// <summary>Merges neighbouring tokens, the best pair first and the leftmost of equals, until no pair merges.</summary>
/// <remarks>Byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909) with a queue: O(n log n) for n symbols.</remarks>
/// <param name="find">Says what two neighbours merge to and at which rank, the lowest first; <see langword="null"/> where they do not.</param>
internal sealed class PairMerger(Func<int, int, (int Id, double Rank)?> find)
{
    /// <summary>Merges symbols and appends what is left.</summary>
    public void Merge(IReadOnlyList<int> symbols, List<int> result)
    {
        int count = symbols.Count;
        int[] ids = [.. symbols];
        int[] next = [.. Enumerable.Range(1, count)];
        int[] previous = [.. Enumerable.Range(-1, count)];
        bool[] isGone = new bool[count];
        var queue = new PriorityQueue<(int Left, int LeftId, int Right, int RightId, int Id), (double Rank, int Position)>();
        for (int i = 0; i + 1 < count; i++)
        {
            Offer(i, i + 1);
        }

        while (queue.TryDequeue(out (int Left, int LeftId, int Right, int RightId, int Id) pair, out _))
        {
            // One of the two may have merged with another neighbour meanwhile.
            if (isGone[pair.Left] || isGone[pair.Right] || ids[pair.Left] != pair.LeftId || ids[pair.Right] != pair.RightId)
            {
                continue;
            }

            ids[pair.Left] = pair.Id;
            isGone[pair.Right] = true;
            next[pair.Left] = next[pair.Right];
            if (next[pair.Left] < count)
            {
                previous[next[pair.Left]] = pair.Left;
                Offer(pair.Left, next[pair.Left]);
            }

            if (previous[pair.Left] >= 0)
            {
                Offer(previous[pair.Left], pair.Left);
            }
        }

        for (int i = 0; i < count; i = next[i])
        {
            result.Add(ids[i]);
        }

        void Offer(int left, int right)
        {
            if (find(ids[left], ids[right]) is { } merged)
            {
                queue.Enqueue((left, ids[left], right, ids[right], merged.Id), (merged.Rank, left));
            }
        }
    }
}
