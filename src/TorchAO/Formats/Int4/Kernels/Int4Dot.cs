using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Kernels.Cpu;

namespace TorchAO.Formats.Int4.Kernels;

/// <summary>
/// Computes <c>y[m] = Σ_k x[m, k] · (code[k] − 8) · scale[k / group]</c> for one weight row and up to
/// <see cref="MaxRows"/> activation rows. The paths agree bit for bit wherever every partial sum is exact.
/// </summary>
/// <remarks>
/// A vector of L int32 lanes holds 8·L codes as they stand in memory: nibble j of lane i is code 8·i + j. Shifting the
/// whole vector by 4·j bits brings code j of every lane to the bottom, where a 16-entry table turns it into a float:
/// three operations for L codes, and none to put them in order. The activations pay for that: <see cref="Int4Panel"/>
/// stores them in the order in which the codes come out, once for all weight rows.
/// </remarks>
internal static unsafe class Int4Dot
{
    /// <summary>Activation rows that share one pass over the codes.</summary>
    public const int MaxRows = 8;

    /// <summary>Codes in one int32 lane, all of which must share a scale.</summary>
    public const int LaneCodes = 8;

    /// <summary>The reference: the definition, in order, one element at a time, over activations in their own order.</summary>
    internal static void Scalar(in Int4Row row, float* x, int m, float* y)
    {
        for (int i = 0; i < m; i++)
        {
            float sum = 0;
            for (int k = 0; k < row.Length; k++)
            {
                int code = (row.Codes[k / 2] >> (4 * (k % 2))) & 15;
                sum += x[((long)i * row.Length) + k] * (code - 8) * row.Scales[k / row.GroupSize];
            }

            y[i] = sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide512<TScales>(in Int4Row row, float* panel, int m, float* y)
        where TScales : struct, ILaneScales
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        if (m == 1)
        {
            y[0] = Single512<TScales>(row, panel);
            return;
        }

        const int BlockCodes = 16 * LaneCodes;
        int blocks = row.Length / BlockCodes;
        long stride = Int4Panel.Stride(row.Length, lanes: 16);
        Vector512<float>* sums = stackalloc Vector512<float>[MaxRows];
        new Span<Vector512<float>>(sums, m).Clear();
        for (int block = 0; block < blocks; block++)
        {
            var codes = Vector512.Load((int*)(row.Codes + (block * (BlockCodes / 2L))));
            AddBlock512(codes, TScales.Load512(row, block), panel + ((long)block * BlockCodes), stride, m, sums);
        }

        if (row.Length % BlockCodes > 0)
        {
            Tail512(row, blocks, out Vector512<int> codes, out Vector512<float> scales);
            AddBlock512(codes, scales, panel + ((long)blocks * BlockCodes), stride, m, sums);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector512.Sum(sums[i]) * TScales.RowScale(row);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide256<TScales>(in Int4Row row, float* panel, int m, float* y)
        where TScales : struct, ILaneScales
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        if (m == 1)
        {
            y[0] = Single256<TScales>(row, panel);
            return;
        }

        const int BlockCodes = 8 * LaneCodes;
        int blocks = row.Length / BlockCodes;
        long stride = Int4Panel.Stride(row.Length, lanes: 8);
        Vector256<float>* sums = stackalloc Vector256<float>[MaxRows];
        new Span<Vector256<float>>(sums, m).Clear();
        for (int block = 0; block < blocks; block++)
        {
            var codes = Vector256.Load((int*)(row.Codes + (block * (BlockCodes / 2L))));
            AddBlock256(codes, TScales.Load256(row, block), panel + ((long)block * BlockCodes), stride, m, sums);
        }

        if (row.Length % BlockCodes > 0)
        {
            Tail256(row, blocks, out Vector256<int> codes, out Vector256<float> scales);
            AddBlock256(codes, scales, panel + ((long)blocks * BlockCodes), stride, m, sums);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector256.Sum(sums[i]) * TScales.RowScale(row);
        }
    }

    // One activation row, which is decode: the sum stays in a register.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Single512<TScales>(in Int4Row row, float* panel)
        where TScales : struct, ILaneScales
    {
        const int BlockCodes = 16 * LaneCodes;
        int blocks = row.Length / BlockCodes;
        Vector512<float> sum = Vector512<float>.Zero;
        for (int block = 0; block < blocks; block++, panel += BlockCodes)
        {
            var codes = Vector512.Load((int*)(row.Codes + (block * (BlockCodes / 2L))));
            CodePrefetch.Ahead(row.Codes + (block * (BlockCodes / 2L)));
            sum = Vector512.MultiplyAddEstimate(BlockSum512(codes, panel), TScales.Load512(row, block), sum);
        }

        if (row.Length % BlockCodes > 0)
        {
            Tail512(row, blocks, out Vector512<int> codes, out Vector512<float> scales);
            sum = Vector512.MultiplyAddEstimate(BlockSum512(codes, panel), scales, sum);
        }

        return Vector512.Sum(sum) * TScales.RowScale(row);
    }

    // Codes past the row meet activations that are zero; they are read from a copy, never from behind the row.
    private static void Tail512(in Int4Row row, int block, out Vector512<int> codes, out Vector512<float> scales)
    {
        byte* last = stackalloc byte[16 * LaneCodes / 2];
        row.CopyTail(block * (16 * LaneCodes / 2), new Span<byte>(last, 16 * LaneCodes / 2));
        float* lanes = stackalloc float[16];
        row.LaneScales(block * 16, new Span<float>(lanes, 16));
        codes = Vector512.Load((int*)last);
        scales = Vector512.Load(lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> BlockSum512(Vector512<int> codes, float* x)
    {
        Vector512<float> even = Vector512.Load(x) * Decode512(codes);
        Vector512<float> odd = Vector512.Load(x + 16) * Decode512(codes >>> 4);
        even = Vector512.MultiplyAddEstimate(Vector512.Load(x + 32), Decode512(codes >>> 8), even);
        odd = Vector512.MultiplyAddEstimate(Vector512.Load(x + 48), Decode512(codes >>> 12), odd);
        even = Vector512.MultiplyAddEstimate(Vector512.Load(x + 64), Decode512(codes >>> 16), even);
        odd = Vector512.MultiplyAddEstimate(Vector512.Load(x + 80), Decode512(codes >>> 20), odd);
        even = Vector512.MultiplyAddEstimate(Vector512.Load(x + 96), Decode512(codes >>> 24), even);
        odd = Vector512.MultiplyAddEstimate(Vector512.Load(x + 112), Decode512(codes >>> 28), odd);
        return even + odd;
    }

    // The eight decoded vectors stay in registers and serve all activation rows; four chains of multiply-adds a row hide
    // their latency. The scale is applied to the block's sum, once for 8 codes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBlock512(
        Vector512<int> codes, Vector512<float> scales, float* x, long stride, int m, Vector512<float>* sums)
    {
        Vector512<float> w0 = Decode512(codes);
        Vector512<float> w1 = Decode512(codes >>> 4);
        Vector512<float> w2 = Decode512(codes >>> 8);
        Vector512<float> w3 = Decode512(codes >>> 12);
        Vector512<float> w4 = Decode512(codes >>> 16);
        Vector512<float> w5 = Decode512(codes >>> 20);
        Vector512<float> w6 = Decode512(codes >>> 24);
        Vector512<float> w7 = Decode512(codes >>> 28);
        for (int i = 0; i < m; i++, x += stride)
        {
            Vector512<float> low = VectorProduct.Sum512(w0, w1, w2, w3, x);
            Vector512<float> high = VectorProduct.Sum512(w4, w5, w6, w7, x + 64);
            sums[i] = Vector512.MultiplyAddEstimate(low + high, scales, sums[i]);
        }
    }

    // One activation row, which is decode: the sum stays in a register.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Single256<TScales>(in Int4Row row, float* panel)
        where TScales : struct, ILaneScales
    {
        const int BlockCodes = 8 * LaneCodes;
        int blocks = row.Length / BlockCodes;
        Vector256<float> sum = Vector256<float>.Zero;
        for (int block = 0; block < blocks; block++, panel += BlockCodes)
        {
            var codes = Vector256.Load((int*)(row.Codes + (block * (BlockCodes / 2L))));
            CodePrefetch.Ahead(row.Codes + (block * (BlockCodes / 2L)));
            sum = Vector256.MultiplyAddEstimate(BlockSum256(codes, panel), TScales.Load256(row, block), sum);
        }

        if (row.Length % BlockCodes > 0)
        {
            Tail256(row, blocks, out Vector256<int> codes, out Vector256<float> scales);
            sum = Vector256.MultiplyAddEstimate(BlockSum256(codes, panel), scales, sum);
        }

        return Vector256.Sum(sum) * TScales.RowScale(row);
    }

    // Codes past the row meet activations that are zero; they are read from a copy, never from behind the row.
    private static void Tail256(in Int4Row row, int block, out Vector256<int> codes, out Vector256<float> scales)
    {
        byte* last = stackalloc byte[8 * LaneCodes / 2];
        row.CopyTail(block * (8 * LaneCodes / 2), new Span<byte>(last, 8 * LaneCodes / 2));
        float* lanes = stackalloc float[8];
        row.LaneScales(block * 8, new Span<float>(lanes, 8));
        codes = Vector256.Load((int*)last);
        scales = Vector256.Load(lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> BlockSum256(Vector256<int> codes, float* x)
    {
        Vector256<float> even = Vector256.Load(x) * Decode256(codes);
        Vector256<float> odd = Vector256.Load(x + 8) * Decode256(codes >>> 4);
        even = Vector256.MultiplyAddEstimate(Vector256.Load(x + 16), Decode256(codes >>> 8), even);
        odd = Vector256.MultiplyAddEstimate(Vector256.Load(x + 24), Decode256(codes >>> 12), odd);
        even = Vector256.MultiplyAddEstimate(Vector256.Load(x + 32), Decode256(codes >>> 16), even);
        odd = Vector256.MultiplyAddEstimate(Vector256.Load(x + 40), Decode256(codes >>> 20), odd);
        even = Vector256.MultiplyAddEstimate(Vector256.Load(x + 48), Decode256(codes >>> 24), even);
        odd = Vector256.MultiplyAddEstimate(Vector256.Load(x + 56), Decode256(codes >>> 28), odd);
        return even + odd;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBlock256(
        Vector256<int> codes, Vector256<float> scales, float* x, long stride, int m, Vector256<float>* sums)
    {
        Vector256<float> w0 = Decode256(codes);
        Vector256<float> w1 = Decode256(codes >>> 4);
        Vector256<float> w2 = Decode256(codes >>> 8);
        Vector256<float> w3 = Decode256(codes >>> 12);
        Vector256<float> w4 = Decode256(codes >>> 16);
        Vector256<float> w5 = Decode256(codes >>> 20);
        Vector256<float> w6 = Decode256(codes >>> 24);
        Vector256<float> w7 = Decode256(codes >>> 28);
        for (int i = 0; i < m; i++, x += stride)
        {
            Vector256<float> low = VectorProduct.Sum256(w0, w1, w2, w3, x);
            Vector256<float> high = VectorProduct.Sum256(w4, w5, w6, w7, x + 32);
            sums[i] = Vector256.MultiplyAddEstimate(low + high, scales, sums[i]);
        }
    }

    // The permute looks at the low four bits of each lane only, so the other codes need no masking away.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Decode512(Vector512<int> codes) => Avx512F.IsSupported
        ? Avx512F.PermuteVar16x32(Vector512.Create(-8f, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7), codes)
        : Vector512.ConvertToSingle((codes & Vector512.Create(15)) - Vector512.Create(8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Decode256(Vector256<int> codes) =>
        Vector256.ConvertToSingle((codes & Vector256.Create(15)) - Vector256.Create(8));
}
