using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Kernels.Cpu;

namespace TorchAO.Formats.BitNet.Kernels;

/// <summary>
/// Computes <c>y[m] = scale · Σ_k x[m, k] · code[k]</c> with codes −1, 0 and 1 for one weight row and up to
/// <see cref="RowProduct.MaxRows"/> activation rows. The paths agree bit for bit wherever every partial sum is exact.
/// </summary>
/// <remarks>
/// A step is 64 codes, 16 bytes, each widened to an int32 lane. Code j of a byte comes out of all lanes together, so the
/// activations are stored in that order: of every 64 those with k mod 4 = 0 first, then those with 1, 2 and 3.
/// </remarks>
internal static unsafe class BitNetDot
{
    private const int Step = 64;
    private const int StepBytes = Step / 4;

    /// <summary>Gets whether <see cref="Best"/> reads activations in the order of <see cref="Interleave"/>.</summary>
    public static bool IsVectorized => Vector256.IsHardwareAccelerated;

    /// <summary>Gets the length of a row of activations in whole steps.</summary>
    public static long PanelLength(long length) => (length + Step - 1) / Step * Step;

    /// <summary>Stores a row of activations in the order in which codes are decoded, and zeros behind it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Interleave(ReadOnlySpan<float> row, Span<float> panel)
    {
        panel[row.Length..].Clear();
        panel[(row.Length / Step * Step)..].Clear();
        for (int k = 0; k < row.Length; k++)
        {
            panel[(k / Step * Step) + (k % 4 * StepBytes) + (k % Step / 4)] = row[k];
        }
    }

    /// <summary>Computes with the widest vectors that this processor runs at full speed.</summary>
    /// <param name="codes">The row's codes, ⌈K / 4⌉ bytes.</param>
    /// <param name="length">K.</param>
    /// <param name="scale">The weight's scale.</param>
    /// <param name="x">Activations: as <see cref="Interleave"/> stores them if <see cref="IsVectorized"/>, else in their own order.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows.</param>
    /// <param name="y">Receives m results.</param>
    public static void Best(byte* codes, int length, float scale, float* x, long stride, int m, float* y)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Wide512(codes, length, scale, x, stride, m, y);
        }
        else if (IsVectorized)
        {
            Wide256(codes, length, scale, x, stride, m, y);
        }
        else
        {
            Scalar(codes, length, scale, x, stride, m, y);
        }
    }

    /// <summary>The reference: the definition, in order, one element at a time, over activations in their own order.</summary>
    internal static void Scalar(byte* codes, int length, float scale, float* x, long stride, int m, float* y)
    {
        for (int i = 0; i < m; i++)
        {
            float sum = 0;
            for (int k = 0; k < length; k++)
            {
                int code = (codes[k / 4] >> (6 - (2 * (k % 4)))) & 3;
                sum += x[(i * stride) + k] * (code == 3 ? -1 : code);
            }

            y[i] = sum * scale;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide512(byte* codes, int length, float scale, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows);
        if (m == 1)
        {
            y[0] = Single512(codes, length, x) * scale;
            return;
        }

        Vector512<float>* sums = stackalloc Vector512<float>[RowProduct.MaxRows];
        new Span<Vector512<float>>(sums, m).Clear();
        byte* last = stackalloc byte[StepBytes];
        for (int k = 0; k < length; k += Step, codes += StepBytes)
        {
            Vector512<int> bytes = ByteLanes.Widen512(Whole(codes, length - k, last));
            VectorProduct.Add512(
                Decode512(bytes >>> 6), Decode512(bytes >>> 4), Decode512(bytes >>> 2), Decode512(bytes), x + k, stride, m, sums);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector512.Sum(sums[i]) * scale;
        }
    }

    // The same with half the width: the 64 codes of a step are taken as two times eight bytes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide256(byte* codes, int length, float scale, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows);
        Vector256<float>* sums = stackalloc Vector256<float>[RowProduct.MaxRows];
        new Span<Vector256<float>>(sums, m).Clear();
        byte* last = stackalloc byte[StepBytes];
        for (int k = 0; k < length; k += Step, codes += StepBytes)
        {
            byte* step = Whole(codes, length - k, last);
            for (int half = 0; half < StepBytes; half += 8)
            {
                Vector256<int> bytes = ByteLanes.Widen256(step + half);
                Vector256<float> w0 = Decode256(bytes << 24);
                Vector256<float> w1 = Decode256(bytes << 26);
                Vector256<float> w2 = Decode256(bytes << 28);
                Vector256<float> w3 = Decode256(bytes << 30);
                float* activations = x + k + half;
                for (int i = 0; i < m; i++, activations += stride)
                {
                    Vector256<float> sum = Vector256.MultiplyAddEstimate(Vector256.Load(activations), w0, sums[i]);
                    sum = Vector256.MultiplyAddEstimate(Vector256.Load(activations + 16), w1, sum);
                    sum = Vector256.MultiplyAddEstimate(Vector256.Load(activations + 32), w2, sum);
                    sums[i] = Vector256.MultiplyAddEstimate(Vector256.Load(activations + 48), w3, sum);
                }
            }
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector256.Sum(sums[i]) * scale;
        }
    }

    /// <summary>Computes some values of a row in the order of <see cref="Interleave"/>, by vectors of 512 bits; 0 behind the row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Decode(byte* codes, int length, float scale, int begin, int count, float* to)
    {
        Debug.Assert(begin % Step == 0 && count % Step == 0);
        byte* last = stackalloc byte[StepBytes];
        codes += begin / 4;
        for (int k = begin; k < begin + count; k += Step, codes += StepBytes, to += Step)
        {
            Vector512<int> bytes = ByteLanes.Widen512(Whole(codes, length - k, last));
            (Decode512(bytes >>> 6) * scale).Store(to);
            (Decode512(bytes >>> 4) * scale).Store(to + 16);
            (Decode512(bytes >>> 2) * scale).Store(to + 32);
            (Decode512(bytes) * scale).Store(to + 48);
        }
    }

    // One activation row, which is decode: four sums in registers, so that no addition waits for the one before.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Single512(byte* codes, int length, float* x)
    {
        Vector512<float> sum0 = Vector512<float>.Zero, sum1 = sum0, sum2 = sum0, sum3 = sum0;
        int k = 0;
        for (; k + Step <= length; k += Step, codes += StepBytes)
        {
            CodePrefetch.Ahead(codes);
            Vector512<int> bytes = ByteLanes.Widen512(codes);
            sum0 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k), Decode512(bytes >>> 6), sum0);
            sum1 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 16), Decode512(bytes >>> 4), sum1);
            sum2 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 32), Decode512(bytes >>> 2), sum2);
            sum3 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 48), Decode512(bytes), sum3);
        }

        float sum = Vector512.Sum(sum0 + sum1 + (sum2 + sum3));
        return k < length ? sum + Last512(codes, length - k, x + k) : sum;
    }

    // Apart from the loop, which would keep its sums in memory if it called something.
    private static float Last512(byte* codes, int rest, float* x)
    {
        byte* last = stackalloc byte[StepBytes];
        Vector512<int> bytes = ByteLanes.Widen512(Whole(codes, rest, last));
        return Vector512.Sum(
            VectorProduct.Sum512(Decode512(bytes >>> 6), Decode512(bytes >>> 4), Decode512(bytes >>> 2), Decode512(bytes), x));
    }

    // The last codes are read from a copy that zeros follow, never from behind the row.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Whole(byte* codes, int rest, byte* last)
    {
        if (rest >= Step)
        {
            return codes;
        }

        var copy = new Span<byte>(last, StepBytes);
        copy.Clear();
        new ReadOnlySpan<byte>(codes, (rest + 3) / 4).CopyTo(copy);
        return last;
    }

    // The permute looks at the low four bits of each lane; of these the table looks at two.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Decode512(Vector512<int> codes) => Avx512F.IsSupported
        ? Avx512F.PermuteVar16x32(Vector512.Create(0f, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0, -1), codes)
        : Vector512.ConvertToSingle((codes << 30) >> 30);

    // The code in the two highest bits, with its sign.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Decode256(Vector256<int> codes) => Vector256.ConvertToSingle(codes >> 30);
}
