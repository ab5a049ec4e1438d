using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Fused;

/// <summary>The two inner loops of attention over a block of keys and values in float32: scores, and the weighted sum.</summary>
internal static unsafe class AttentionRows
{
    /// <summary>Computes <c>scores[j] = factor · Σᵢ q[i] · k[j, i]</c>; the reference: the definition, in order.</summary>
    /// <param name="query">q, <c>[D]</c>.</param>
    /// <param name="keys">k, <c>[count, D]</c>, rows <paramref name="stride"/> apart.</param>
    /// <param name="stride">The distance of rows in numbers.</param>
    /// <param name="count">How many keys.</param>
    /// <param name="size">D.</param>
    /// <param name="factor">What products are multiplied by, 1 / √D.</param>
    /// <param name="scores">The result <c>[count]</c>.</param>
    public static void ScalarScores(float* query, float* keys, long stride, int count, int size, float factor, float* scores)
    {
        for (int j = 0; j < count; j++)
        {
            float sum = 0;
            for (int i = 0; i < size; i++)
            {
                sum += query[i] * keys[(j * stride) + i];
            }

            scores[j] = sum * factor;
        }
    }

    /// <summary>Computes <c>sum[i] += Σⱼ w[j] · v[j, i]</c>; the reference: the definition, in order.</summary>
    /// <param name="weights">w, <c>[count]</c>.</param>
    /// <param name="values">v, <c>[count, D]</c>, rows <paramref name="stride"/> apart.</param>
    /// <param name="stride">The distance of rows in numbers.</param>
    /// <param name="count">How many values.</param>
    /// <param name="size">D.</param>
    /// <param name="sum">The result <c>[D]</c>.</param>
    /// <param name="first">The first number of a row that is summed.</param>
    public static void ScalarSum(float* weights, float* values, long stride, int count, int size, float* sum, int first = 0)
    {
        for (int i = first; i < size; i++)
        {
            float total = sum[i];
            for (int j = 0; j < count; j++)
            {
                total += weights[j] * values[(j * stride) + i];
            }

            sum[i] = total;
        }
    }

    public static void Scores128(float* query, float* keys, long stride, int count, int size, float factor, float* scores) =>
        Scores<Lanes128, Vector128<float>>(query, keys, stride, count, size, factor, scores);

    public static void Scores256(float* query, float* keys, long stride, int count, int size, float factor, float* scores) =>
        Scores<Lanes256, Vector256<float>>(query, keys, stride, count, size, factor, scores);

    public static void Scores512(float* query, float* keys, long stride, int count, int size, float factor, float* scores) =>
        Scores<Lanes512, Vector512<float>>(query, keys, stride, count, size, factor, scores);

    public static void Sum128(float* weights, float* values, long stride, int count, int size, float* sum) =>
        Sum<Lanes128, Vector128<float>>(weights, values, stride, count, size, sum);

    public static void Sum256(float* weights, float* values, long stride, int count, int size, float* sum) =>
        Sum<Lanes256, Vector256<float>>(weights, values, stride, count, size, sum);

    public static void Sum512(float* weights, float* values, long stride, int count, int size, float* sum) =>
        Sum<Lanes512, Vector512<float>>(weights, values, stride, count, size, sum);

    /// <summary>Computes scores at the widest vectors that a row fills.</summary>
    public static void BestScores(float* query, float* keys, long stride, int count, int size, float factor, float* scores)
    {
        switch (Widest.Lanes(size))
        {
            case 16:
                Scores512(query, keys, stride, count, size, factor, scores);
                break;
            case 8:
                Scores256(query, keys, stride, count, size, factor, scores);
                break;
            case 4:
                Scores128(query, keys, stride, count, size, factor, scores);
                break;
            default:
                ScalarScores(query, keys, stride, count, size, factor, scores);
                break;
        }
    }

    /// <summary>Computes the weighted sum at the widest vectors that a row fills.</summary>
    public static void BestSum(float* weights, float* values, long stride, int count, int size, float* sum)
    {
        switch (Widest.Lanes(size))
        {
            case 16:
                Sum512(weights, values, stride, count, size, sum);
                break;
            case 8:
                Sum256(weights, values, stride, count, size, sum);
                break;
            case 4:
                Sum128(weights, values, stride, count, size, sum);
                break;
            default:
                ScalarSum(weights, values, stride, count, size, sum);
                break;
        }
    }

    // Four keys at once: a part of the query is loaded once for them, and their four chains of additions do not wait for each other.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scores<TLanes, TVector>(
        float* query, float* keys, long stride, int count, int size, float factor, float* scores)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int whole = size - (size % TLanes.Count);
        int j = 0;
        for (; j <= count - 4; j += 4)
        {
            float* k = keys + (j * stride);
            (TVector s0, TVector s1, TVector s2, TVector s3) =
                (TLanes.Broadcast(0), TLanes.Broadcast(0), TLanes.Broadcast(0), TLanes.Broadcast(0));
            for (int i = 0; i < whole; i += TLanes.Count)
            {
                TVector q = TLanes.Load(query + i);
                s0 = TLanes.MultiplyAdd(q, TLanes.Load(k + i), s0);
                s1 = TLanes.MultiplyAdd(q, TLanes.Load(k + stride + i), s1);
                s2 = TLanes.MultiplyAdd(q, TLanes.Load(k + (2 * stride) + i), s2);
                s3 = TLanes.MultiplyAdd(q, TLanes.Load(k + (3 * stride) + i), s3);
            }

            (scores[j], scores[j + 1]) = (TLanes.Sum(s0), TLanes.Sum(s1));
            (scores[j + 2], scores[j + 3]) = (TLanes.Sum(s2), TLanes.Sum(s3));
        }

        for (; j < count; j++)
        {
            float* k = keys + (j * stride);
            TVector sum = TLanes.Broadcast(0);
            for (int i = 0; i < whole; i += TLanes.Count)
            {
                sum = TLanes.MultiplyAdd(TLanes.Load(query + i), TLanes.Load(k + i), sum);
            }

            scores[j] = TLanes.Sum(sum);
        }

        for (j = 0; j < count; j++)
        {
            float sum = scores[j];
            for (int i = whole; i < size; i++)
            {
                sum += query[i] * keys[(j * stride) + i];
            }

            scores[j] = sum * factor;
        }
    }

    // Four vectors of the sum stay in registers while all rows go by; what is left of a row is done a vector at a time, then one by one.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Sum<TLanes, TVector>(float* weights, float* values, long stride, int count, int size, float* sum)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int step = TLanes.Count;
        int i = 0;
        for (; i <= size - (4 * step); i += 4 * step)
        {
            float* to = sum + i;
            (TVector s0, TVector s1) = (TLanes.Load(to), TLanes.Load(to + step));
            (TVector s2, TVector s3) = (TLanes.Load(to + (2 * step)), TLanes.Load(to + (3 * step)));
            float* v = values + i;
            for (int j = 0; j < count; j++, v += stride)
            {
                TVector weight = TLanes.Broadcast(weights[j]);
                s0 = TLanes.MultiplyAdd(weight, TLanes.Load(v), s0);
                s1 = TLanes.MultiplyAdd(weight, TLanes.Load(v + step), s1);
                s2 = TLanes.MultiplyAdd(weight, TLanes.Load(v + (2 * step)), s2);
                s3 = TLanes.MultiplyAdd(weight, TLanes.Load(v + (3 * step)), s3);
            }

            TLanes.Store(s0, to);
            TLanes.Store(s1, to + step);
            TLanes.Store(s2, to + (2 * step));
            TLanes.Store(s3, to + (3 * step));
        }

        for (; i <= size - step; i += step)
        {
            TVector total = TLanes.Load(sum + i);
            for (int j = 0; j < count; j++)
            {
                total = TLanes.MultiplyAdd(TLanes.Broadcast(weights[j]), TLanes.Load(values + (j * stride) + i), total);
            }

            TLanes.Store(total, sum + i);
        }

        ScalarSum(weights, values, stride, count, size, sum, i);
    }
}
