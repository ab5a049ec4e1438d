using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Fits the entries of a codebook: Lloyd's algorithm from entries that are picked far apart.</summary>
/// <remarks>
/// Lloyd 1982; Gonzalez 1985 for the beginning: the first vector, then each time the one that is farthest from all entries so far.
/// Deterministic. Single numbers are sorted once, so that a round costs a search for the borders between entries and not a look at
/// every number; vectors are compared with all entries by a product.
/// </remarks>
public static class KMeans
{
    /// <summary>The most rounds, as in torchao's codebooks.</summary>
    public const int UsualRounds = 200;

    private const int RoundsBetweenChecks = 10;
    private const double RelativeTolerance = 1e-6;
    private const double AbsoluteTolerance = 1e-8;
    private const long VectorsAnEntry = 256; // that entries are fitted to, of more
    private const long LeastVectors = 1 << 13;
    private const long ProductElements = 1 << 22; // of the matrix of likenesses at a time

    /// <summary>Fits entries to vectors.</summary>
    /// <param name="vectors">Vectors <c>[count, D]</c>, float32, at least one; of very many, entries are fitted to a part.</param>
    /// <param name="entries">How many entries.</param>
    /// <param name="rounds">The most rounds.</param>
    /// <returns>Entries <c>[entries, D]</c>, float32. The caller disposes them.</returns>
    public static Tensor Fit(Tensor vectors, int entries, int rounds = UsualRounds)
    {
        ArgumentNullException.ThrowIfNull(vectors);
        if (vectors.dim() != 2 || vectors.numel() == 0 || entries < 1)
        {
            throw new QuantizationException(
                $"k-means got vectors [{string.Join(", ", vectors.shape)}] and {entries} entries, expected [count, D] with at least one vector " +
                "and one entry.");
        }

        using IDisposable noGrad = no_grad();
        if (vectors.size(1) == 1)
        {
            return FitNumbers(vectors, entries, rounds);
        }

        using Tensor sample = Sample(vectors, Math.Max(LeastVectors, VectorsAnEntry * entries));
        return FitVectors(sample, entries, rounds);
    }

    /// <summary>Finds the nearest entry of each vector: the one with the greatest <c>x · c − |c|² / 2</c>.</summary>
    /// <param name="vectors">Vectors <c>[count, D]</c>, float32.</param>
    /// <param name="entries">Entries <c>[entries, D]</c>, float32.</param>
    /// <returns>Indices <c>[count]</c>, int64. The caller disposes them.</returns>
    internal static Tensor Nearest(Tensor vectors, Tensor entries)
    {
        using DisposeScope scope = NewDisposeScope();
        if (entries.size(1) == 1)
        {
            return NearestNumbers(vectors.flatten(), entries.flatten()).MoveToOuterDisposeScope();
        }

        Tensor half = entries.square().sum(dim: 1) * 0.5;
        Tensor transposed = entries.t();
        long block = Math.Max(1, ProductElements / entries.size(0));
        var parts = new List<Tensor>();
        for (long start = 0; start < vectors.size(0); start += block)
        {
            using DisposeScope step = NewDisposeScope();
            Tensor part = vectors.narrow(0, start, Math.Min(block, vectors.size(0) - start));
            parts.Add((part.mm(transposed) - half).argmax(1).MoveToOuterDisposeScope());
        }

        return cat(parts).MoveToOuterDisposeScope();
    }

    // A search among the middles between neighbours: a few steps a number, where a product has one an entry.
    private static Tensor NearestNumbers(Tensor numbers, Tensor entries)
    {
        long gaps = entries.size(0) - 1;
        (Tensor ascending, Tensor order) = entries.sort(stable: true);
        Tensor middles = (ascending.narrow(0, 0, gaps) + ascending.narrow(0, 1, gaps)) * 0.5;
        return order.index_select(0, bucketize(numbers, middles, outInt32: true));
    }

    // Evenly from the whole. Many vectors an entry say no more about where it should lie than some.
    private static Tensor Sample(Tensor vectors, long most)
    {
        long count = vectors.size(0);
        if (count <= most)
        {
            return vectors.alias();
        }

        using Tensor places = linspace(0, count - 1, most, dtype: ScalarType.Float64);
        using Tensor rows = places.to_type(ScalarType.Int64).to(vectors.device);
        return vectors.index_select(0, rows);
    }

    private static Tensor FitVectors(Tensor vectors, int count, int rounds)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor entries = Spread(vectors, count);
        for (int round = 0; round < rounds; round++)
        {
            using DisposeScope step = NewDisposeScope();
            Tensor nearest = Nearest(vectors, entries);
            Tensor sums = zeros_like(entries).index_add_(0, nearest, vectors, 1);
            Tensor members = nearest.bincount(null, count).unsqueeze(1);
            Tensor next = where(members > 0, sums / members.clamp(min: 1), entries); // an entry without members stays
            if (round % RoundsBetweenChecks == 0 && allclose(next, entries, RelativeTolerance, AbsoluteTolerance))
            {
                break;
            }

            entries = next.MoveToOuterDisposeScope();
        }

        return entries.MoveToOuterDisposeScope();
    }

    private static Tensor Spread(Tensor vectors, int count)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor entries = zeros([count, vectors.size(1)], device: vectors.device);
        Tensor squares = vectors.square().sum(dim: 1);
        Tensor least = full_like(squares, double.PositiveInfinity);
        for (int i = 0; i < count; i++)
        {
            using DisposeScope step = NewDisposeScope();
            Tensor entry = vectors.index_select(0, least.argmax().reshape(1));
            entries.narrow(0, i, 1).copy_(entry);
            Tensor distance = squares - (2 * vectors.mm(entry.t()).squeeze(1)) + entry.square().sum();
            least.copy_(least.minimum(distance));
        }

        return entries.MoveToOuterDisposeScope();
    }

    private static Tensor FitNumbers(Tensor vectors, int count, int rounds)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values = vectors.to(CPU).flatten();
        float[] numbers = values.data<float>().ToArray();
        double first = numbers[0];
        Array.Sort(numbers);
        double[] entries = SpreadNumbers(numbers, first, count);
        double[] sums = new double[numbers.Length + 1];
        for (int i = 0; i < numbers.Length; i++)
        {
            sums[i + 1] = sums[i] + numbers[i];
        }

        for (int round = 0; round < rounds; round++)
        {
            double[] next = Lloyd(numbers, sums, entries);
            if (round % RoundsBetweenChecks == 0
                && next.Zip(entries).All(pair => Math.Abs(pair.First - pair.Second) <= AbsoluteTolerance + (RelativeTolerance * Math.Abs(pair.Second))))
            {
                break;
            }

            entries = next;
        }

        Tensor fitted = tensor([.. entries.Select(entry => (float)entry)], device: vectors.device);
        return fitted.reshape(-1, 1).MoveToOuterDisposeScope();
    }

    // The number that is farthest from all entries is an end, or next to the middle between two neighbours.
    private static double[] SpreadNumbers(float[] sorted, double first, int count)
    {
        List<double> chosen = [first]; // ascending
        double[] entries = new double[count];
        entries[0] = first;
        for (int i = 1; i < count; i++)
        {
            (double distance, double number) = (-1, first);
            for (int gap = 0; gap <= chosen.Count; gap++)
            {
                foreach (double candidate in Candidates(sorted, chosen, gap))
                {
                    double own = Math.Min(
                        gap > 0 ? Math.Abs(candidate - chosen[gap - 1]) : double.PositiveInfinity,
                        gap < chosen.Count ? Math.Abs(candidate - chosen[gap]) : double.PositiveInfinity);
                    if (own > distance)
                    {
                        (distance, number) = (own, candidate);
                    }
                }
            }

            entries[i] = number;
            int place = chosen.BinarySearch(number);
            chosen.Insert(place < 0 ? ~place : place, number);
        }

        return entries;
    }

    private static IEnumerable<double> Candidates(float[] sorted, List<double> chosen, int gap)
    {
        if (gap == 0)
        {
            yield return sorted[0];
        }
        else if (gap == chosen.Count)
        {
            yield return sorted[^1];
        }
        else
        {
            int above = FirstAbove(sorted, (chosen[gap - 1] + chosen[gap]) / 2);
            if (above > 0)
            {
                yield return sorted[above - 1];
            }

            if (above < sorted.Length)
            {
                yield return sorted[above];
            }
        }
    }

    private static double[] Lloyd(float[] sorted, double[] sums, double[] entries)
    {
        int[] order = [.. Enumerable.Range(0, entries.Length).OrderBy(i => entries[i])];
        double[] next = [.. entries];
        int begin = 0;
        for (int i = 0; i < order.Length; i++)
        {
            int end = i + 1 < order.Length ? FirstAbove(sorted, (entries[order[i]] + entries[order[i + 1]]) / 2) : sorted.Length;
            if (end > begin)
            {
                next[order[i]] = (sums[end] - sums[begin]) / (end - begin);
            }

            begin = Math.Max(begin, end);
        }

        return next;
    }

    // The index of the first number above a border.
    private static int FirstAbove(float[] sorted, double border)
    {
        (int low, int high) = (0, sorted.Length);
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = sorted[middle] <= border ? (middle + 1, high) : (low, middle);
        }

        return low;
    }
}
