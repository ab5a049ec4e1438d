namespace TorchAO.Models.Generation;

/// <summary>Tokens with their weights, which are put into order, likeliest first, only as far as a question needs.</summary>
/// <remarks>
/// Of a vocabulary of a hundred thousand tokens a sample concerns a few. Selection by parts (Hoare 1961, algorithm 65) answers "the k
/// likeliest" and "the likeliest that reach a sum" by looking at each token about three times; sorting all would take seventeen. Of
/// equal weights the lower id goes first, so that the order, and with it each answer, is one.
/// </remarks>
internal sealed class RankedTokens
{
    private double[] weights = [];
    private int[] ids = [];

    /// <summary>Gets how many tokens there are.</summary>
    public int Count { get; private set; }

    /// <summary>Begins with tokens 0 … count − 1.</summary>
    /// <returns>Room for their weights, to be filled.</returns>
    public Span<double> Begin(int count)
    {
        if (weights.Length < count)
        {
            (weights, ids) = (new double[count], new int[count]);
        }

        for (int i = 0; i < count; i++)
        {
            ids[i] = i;
        }

        Count = count;
        return weights.AsSpan(0, count);
    }

    /// <summary>Forgets all but the likeliest.</summary>
    public void Keep(int count)
    {
        if (count < Count)
        {
            Select(0, Count, count, double.PositiveInfinity);
            Count = count;
        }
    }

    /// <summary>Sums all weights, in the order in which they stand.</summary>
    public double Sum()
    {
        double sum = 0;
        foreach (double weight in weights.AsSpan(0, Count))
        {
            sum += weight;
        }

        return sum;
    }

    /// <summary>Counts the likeliest tokens, as many as it takes to reach a sum; these come to stand first.</summary>
    /// <returns>From 1 to <see cref="Count"/>, the token that reaches the sum included.</returns>
    public int Reach(double sum) => Select(0, Count, int.MaxValue, sum);

    /// <summary>Gets the token that stands last among the first ones.</summary>
    public int At(int index) => ids[index];

    // The place behind the first `most` of [begin, end), or behind those that reach the sum, whichever is first. Each turn splits what is
    // left at a pivot and goes on in one of the parts; the pivot itself is settled, so that every turn makes progress.
    private int Select(int begin, int end, int most, double sum)
    {
        double before = 0;
        while (end - begin > 1)
        {
            int pivot = Split(begin, end);
            double first = 0;
            for (int i = begin; i < pivot; i++)
            {
                first += weights[i];
            }

            double through = before + first + weights[pivot];
            if (before + first >= sum || pivot >= most)
            {
                end = pivot;
            }
            else if (through >= sum || pivot + 1 >= most)
            {
                return pivot + 1;
            }
            else
            {
                (before, begin) = (through, pivot + 1);
            }
        }

        return end;
    }

    // Brings the likelier ones before a pivot and the others behind it; the pivot is the middle of three, against rows in order.
    private int Split(int begin, int end)
    {
        int last = end - 1, middle = begin + ((end - begin) / 2);
        Order(begin, middle);
        Order(begin, last);
        Order(last, middle); // the middle one of the three stands last
        int place = begin;
        for (int i = begin; i < last; i++)
        {
            if (IsBefore(i, last))
            {
                Swap(i, place++);
            }
        }

        Swap(place, last);
        return place;
    }

    private void Order(int first, int second)
    {
        if (IsBefore(second, first))
        {
            Swap(first, second);
        }
    }

    private bool IsBefore(int a, int b) => weights[a] != weights[b] ? weights[a] > weights[b] : ids[a] < ids[b];

    private void Swap(int a, int b)
    {
        (weights[a], weights[b]) = (weights[b], weights[a]);
        (ids[a], ids[b]) = (ids[b], ids[a]);
    }
}
