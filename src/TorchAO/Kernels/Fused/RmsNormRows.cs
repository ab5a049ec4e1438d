using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Fused;

/// <summary>Root-mean-square norm of a few rows, alone or behind the addition to the residual stream.</summary>
/// <remarks>
/// <c>y = x / √(mean(x²) + ε) · w</c> (Zhang and Sennrich 2019, arXiv:1910.07467), all in float32. A row is read twice and is in
/// the first-level cache the second time. One thread: a row is too little to wake another for.
/// </remarks>
public static unsafe class RmsNormRows
{
    /// <summary>Normalizes rows.</summary>
    /// <param name="input">Rows <c>[R, D]</c>.</param>
    /// <param name="gain">w, <c>[D]</c>; says D.</param>
    /// <param name="epsilon">ε, what keeps the root from zero.</param>
    /// <param name="output">The result <c>[R, D]</c>; may be the input.</param>
    /// <exception cref="ArgumentException">The lengths do not fit each other.</exception>
    public static void Run(ReadOnlySpan<float> input, ReadOnlySpan<float> gain, double epsilon, Span<float> output) =>
        Rows(input, default, gain, (float)epsilon, output);

    /// <summary>Adds rows to the residual stream and normalizes the sums.</summary>
    /// <param name="residual">The stream <c>[R, D]</c>; holds the sums afterwards.</param>
    /// <param name="added">What is added, <c>[R, D]</c>.</param>
    /// <param name="gain">w, <c>[D]</c>; says D.</param>
    /// <param name="epsilon">ε, what keeps the root from zero.</param>
    /// <param name="output">The normalized sums <c>[R, D]</c>; not the residual stream.</param>
    /// <exception cref="ArgumentException">The lengths do not fit each other.</exception>
    public static void AddAndRun(
        Span<float> residual, ReadOnlySpan<float> added, ReadOnlySpan<float> gain, double epsilon, Span<float> output)
    {
        SpanLengths.Require(added.Length == residual.Length, nameof(added), added.Length, residual.Length);
        Rows(residual, added, gain, (float)epsilon, output);
    }

    /// <summary>The reference for one row: the definition, in order. <paramref name="added"/> is null where nothing is added.</summary>
    internal static void Scalar(float* row, float* added, float* gain, float epsilon, float* output, int length)
    {
        float squares = 0;
        for (int i = 0; i < length; i++)
        {
            if (added != null)
            {
                row[i] += added[i];
            }

            squares += row[i] * row[i];
        }

        float factor = 1 / MathF.Sqrt((squares / length) + epsilon);
        for (int i = 0; i < length; i++)
        {
            output[i] = row[i] * factor * gain[i];
        }
    }

    internal static void Wide128(float* row, float* added, float* gain, float epsilon, float* output, int length) =>
        Wide<Lanes128, Vector128<float>>(row, added, gain, epsilon, output, length);

    internal static void Wide256(float* row, float* added, float* gain, float epsilon, float* output, int length) =>
        Wide<Lanes256, Vector256<float>>(row, added, gain, epsilon, output, length);

    internal static void Wide512(float* row, float* added, float* gain, float epsilon, float* output, int length) =>
        Wide<Lanes512, Vector512<float>>(row, added, gain, epsilon, output, length);

    private static void Rows(
        ReadOnlySpan<float> input, ReadOnlySpan<float> added, ReadOnlySpan<float> gain, float epsilon, Span<float> output)
    {
        int length = gain.Length;
        SpanLengths.RequireRows(input.Length, length, nameof(input));
        SpanLengths.Require(output.Length == input.Length, nameof(output), output.Length, input.Length);
        fixed (float* x = input, a = added, w = gain, y = output)
        {
            for (int at = 0; at < input.Length; at += length)
            {
                float* addend = added.IsEmpty ? null : a + at;
                switch (Widest.Lanes(length))
                {
                    case 16:
                        Wide512(x + at, addend, w, epsilon, y + at, length);
                        break;
                    case 8:
                        Wide256(x + at, addend, w, epsilon, y + at, length);
                        break;
                    case 4:
                        Wide128(x + at, addend, w, epsilon, y + at, length);
                        break;
                    default:
                        Scalar(x + at, addend, w, epsilon, y + at, length);
                        break;
                }
            }
        }
    }

    // Two chains of squares, since each addition waits for the one before; what is left of the row goes one by one.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Wide<TLanes, TVector>(float* row, float* added, float* gain, float epsilon, float* output, int length)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int step = TLanes.Count;
        int i = 0;
        if (added != null)
        {
            for (; i <= length - step; i += step)
            {
                TLanes.Store(TLanes.Add(TLanes.Load(row + i), TLanes.Load(added + i)), row + i);
            }

            for (; i < length; i++)
            {
                row[i] += added[i];
            }
        }

        TVector even = TLanes.Broadcast(0);
        TVector odd = even;
        for (i = 0; i <= length - (2 * step); i += 2 * step)
        {
            (TVector low, TVector high) = (TLanes.Load(row + i), TLanes.Load(row + i + step));
            even = TLanes.MultiplyAdd(low, low, even);
            odd = TLanes.MultiplyAdd(high, high, odd);
        }

        float squares = TLanes.Sum(TLanes.Add(even, odd));
        for (; i < length; i++)
        {
            squares += row[i] * row[i];
        }

        float factor = 1 / MathF.Sqrt((squares / length) + epsilon);
        TVector factors = TLanes.Broadcast(factor);
        for (i = 0; i <= length - step; i += step)
        {
            TVector normalized = TLanes.Multiply(TLanes.Load(row + i), factors);
            TLanes.Store(TLanes.Multiply(normalized, TLanes.Load(gain + i)), output + i);
        }

        for (; i < length; i++)
        {
            output[i] = row[i] * factor * gain[i];
        }
    }
}
