using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>A row of codes of a table times a few rows of activations; accumulates in float32.</summary>
/// <remarks>
/// Codes are decoded to bytes a piece at a time, in the first-level cache, and looked up sixteen at once: by permutes of
/// registers where AVX-512 has them (16 values a register), by gathers from the first-level cache elsewhere.
/// </remarks>
internal static unsafe class TableDot
{
    /// <summary>Codes of a step; blocks are multiples of it, or the row.</summary>
    public const int Step = 16;

    private const int FourSteps = 4 * Step;
    private const int Piece = 512;

    /// <summary>Gets the floats of a table for codes of some bits: at least a register's.</summary>
    public static int TableLength(int bits) => Math.Max(Step, 1 << bits);

    /// <summary>Makes a table that a row may use: the values, and zeros up to <see cref="TableLength"/>.</summary>
    public static float[] PadTable(ReadOnlySpan<float> values, int bits)
    {
        float[] table = new float[TableLength(bits)];
        values.CopyTo(table);
        return table;
    }

    /// <summary>Computes with the widest vectors that this processor runs at full speed.</summary>
    /// <param name="row">The weight row.</param>
    /// <param name="x">The first of m activation rows.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows, at most <see cref="RowProduct.MaxRows"/>.</param>
    /// <param name="y">Receives m sums.</param>
    public static void Best(in TableRow row, float* x, long stride, int m, float* y)
    {
        if (PermuteDot.Covers(row))
        {
            int done = PermuteDot.Run(row, x, stride, m, y);
            AddEnd(row, done, x, stride, m, y);
        }
        else if (Avx512F.IsSupported && Vector512.IsHardwareAccelerated)
        {
            switch (TableLength(row.Bits))
            {
                case 16:
                    Wide512<Table16>(row, x, stride, m, y);
                    break;
                case 32:
                    Wide512<Table32>(row, x, stride, m, y);
                    break;
                case 64:
                    Wide512<Table64>(row, x, stride, m, y);
                    break;
                default:
                    Wide512<TableInCache>(row, x, stride, m, y);
                    break;
            }
        }
        else if (Avx2.IsSupported)
        {
            Wide256(row, x, stride, m, y);
        }
        else
        {
            Scalar(row, x, stride, m, y);
        }
    }

    /// <summary>The reference: code by code, block by block.</summary>
    internal static void Scalar(in TableRow row, float* x, long stride, int m, float* y)
    {
        new Span<float>(y, m).Clear();
        byte* codes = stackalloc byte[Piece];
        for (int start = 0; start < row.Length; start += Piece)
        {
            int count = Decode(row, start, codes);
            AddRest(row, start, start + count, codes, x, stride, m, y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide512<TTable>(in TableRow row, float* x, long stride, int m, float* y)
        where TTable : struct, ITable
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows && (row.BlockSize % Step == 0 || row.BlockSize == row.Length));
        byte* codes = stackalloc byte[Piece];
        Vector512<float>* sums = stackalloc Vector512<float>[RowProduct.MaxRows];
        new Span<Vector512<float>>(sums, m).Clear();
        new Span<float>(y, m).Clear();
        float* scales = row.Scales;
        int left = row.BlockSize;
        for (int start = 0; start < row.Length; start += Piece)
        {
            int count = Decode(row, start, codes);
            int end = start + (count & -Step);
            int k = start;
            if (row.BlockSize % FourSteps == 0 || row.BlockSize == row.Length)
            {
                int last = start + (count & -FourSteps);
                if (m == 1)
                {
                    sums[0] += Single512<TTable>(row, k, last, codes, x, ref scales, ref left);
                    k = last;
                }

                for (; k < last; k += FourSteps)
                {
                    byte* four = codes + k - start;
                    var scale = Vector512.Create(*scales);
                    VectorProduct.Add512(
                        Lookup<TTable>(four, row.Table) * scale, Lookup<TTable>(four + 16, row.Table) * scale,
                        Lookup<TTable>(four + 32, row.Table) * scale, Lookup<TTable>(four + 48, row.Table) * scale,
                        x + k, stride, m, sums);
                    Advance(row, FourSteps, ref scales, ref left);
                }
            }

            for (; k < end; k += Step)
            {
                Vector512<float> weights = Lookup<TTable>(codes + k - start, row.Table) * Vector512.Create(*scales);
                float* activations = x + k;
                for (int i = 0; i < m; i++, activations += stride)
                {
                    sums[i] = Vector512.MultiplyAddEstimate(Vector512.Load(activations), weights, sums[i]);
                }

                Advance(row, Step, ref scales, ref left);
            }

            AddRest(row, end, start + count, codes + end - start, x, stride, m, y);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] += Vector512.Sum(sums[i]);
        }
    }

    // One activation row, which is decode: the sum stays in a register.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector512<float> Single512<TTable>(
        in TableRow row, int k, int end, byte* codes, float* x, ref float* scales, ref int left)
        where TTable : struct, ITable
    {
        Vector512<float> sum = Vector512<float>.Zero;
        for (; k < end; k += FourSteps, codes += FourSteps)
        {
            Vector512<float> part = VectorProduct.Sum512(
                Lookup<TTable>(codes, row.Table), Lookup<TTable>(codes + 16, row.Table), Lookup<TTable>(codes + 32, row.Table),
                Lookup<TTable>(codes + 48, row.Table), x + k);
            sum = Vector512.MultiplyAddEstimate(part, Vector512.Create(*scales), sum);
            Advance(row, FourSteps, ref scales, ref left);
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Advance(in TableRow row, int count, ref float* scales, ref int left)
    {
        left -= count;
        if (left == 0)
        {
            scales++;
            left = row.BlockSize;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Lookup<TTable>(byte* codes, float* table)
        where TTable : struct, ITable =>
        TTable.Lookup(Avx512F.ConvertToVector512Int32(Vector128.Load(codes)), table);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide256(in TableRow row, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows && (row.BlockSize % Step == 0 || row.BlockSize == row.Length));
        byte* codes = stackalloc byte[Piece];
        Vector256<float>* sums = stackalloc Vector256<float>[RowProduct.MaxRows];
        new Span<Vector256<float>>(sums, m).Clear();
        new Span<float>(y, m).Clear();
        for (int start = 0; start < row.Length; start += Piece)
        {
            int count = Decode(row, start, codes);
            int end = start + (count & -Step);
            for (int k = start; k < end; k += Step)
            {
                var scale = Vector256.Create(row.Scales[k / row.BlockSize]);
                Vector256<float> first = Gather(row.Table, codes + k - start) * scale;
                Vector256<float> second = Gather(row.Table, codes + k - start + 8) * scale;
                float* activations = x + k;
                for (int i = 0; i < m; i++, activations += stride)
                {
                    Vector256<float> sum = Vector256.MultiplyAddEstimate(Vector256.Load(activations), first, sums[i]);
                    sums[i] = Vector256.MultiplyAddEstimate(Vector256.Load(activations + 8), second, sum);
                }
            }

            AddRest(row, end, start + count, codes + end - start, x, stride, m, y);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] += Vector256.Sum(sums[i]);
        }
    }

    /// <summary>Computes some values of a row, scales included.</summary>
    /// <param name="row">The row.</param>
    /// <param name="start">The first code, which begins a byte.</param>
    /// <param name="count">Codes, at most <see cref="FloatPanels.FloatPanelProduct.PieceLength"/>.</param>
    /// <param name="to">Receives the values.</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void DecodeValues(in TableRow row, int start, int count, float* to)
    {
        int done = PermuteDot.Covers(row) ? PermuteDot.Decode(row, start, count, to) : 0;
        if (done == count)
        {
            return;
        }

        start += done;
        count -= done;
        to += done;
        byte* codes = stackalloc byte[Piece];
        Decode(row, start, count, codes);
        int k = 0;
        if (Avx512F.IsSupported && Vector512.IsHardwareAccelerated)
        {
            switch (TableLength(row.Bits))
            {
                case 16:
                    k = WideValues<Table16>(row, start, count, codes, to);
                    break;
                case 32:
                    k = WideValues<Table32>(row, start, count, codes, to);
                    break;
                case 64:
                    k = WideValues<Table64>(row, start, count, codes, to);
                    break;
                default:
                    k = WideValues<TableInCache>(row, start, count, codes, to);
                    break;
            }
        }

        for (; k < count; k++)
        {
            to[k] = row.Table[codes[k]] * row.Scales[(start + k) / row.BlockSize];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int WideValues<TTable>(in TableRow row, int start, int count, byte* codes, float* to)
        where TTable : struct, ITable
    {
        float* scales = row.Scales + (start / row.BlockSize);
        int left = row.BlockSize - (start % row.BlockSize);
        int k = 0;
        for (; k + Step <= count; k += Step)
        {
            (Lookup<TTable>(codes + k, row.Table) * Vector512.Create(*scales)).Store(to + k);
            Advance(row, Step, ref scales, ref left);
        }

        return k;
    }

    // Pieces begin whole bytes at every width.
    private static int Decode(in TableRow row, int start, byte* codes)
    {
        int count = Math.Min(Piece, row.Length - start);
        Decode(row, start, count, codes);
        return count;
    }

    private static void Decode(in TableRow row, int start, int count, byte* codes)
    {
        int offset = (int)((long)start * row.Bits / 8);
        int rowBytes = (int)((((long)row.Length * row.Bits) + 7) / 8);
        BitStreamDecode.Run(row.Codes + offset, row.Bits, count, codes, rowBytes - offset);
    }

    // The last codes of a row, fewer than a piece; they begin whole bytes.
    private static void AddEnd(in TableRow row, int start, float* x, long stride, int m, float* y)
    {
        if (start < row.Length)
        {
            byte* codes = stackalloc byte[Piece];
            AddRest(row, start, start + Decode(row, start, codes), codes, x, stride, m, y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRest(in TableRow row, int start, int end, byte* codes, float* x, long stride, int m, float* y)
    {
        for (int k = start; k < end; k++)
        {
            float weight = row.Table[codes[k - start]] * row.Scales[k / row.BlockSize];
            for (int i = 0; i < m; i++)
            {
                y[i] += x[(i * stride) + k] * weight;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Gather(float* table, byte* codes) =>
        Avx2.GatherVector256(table, Avx2.ConvertToVector256Int32(codes), sizeof(float));

    /// <summary>How sixteen codes are looked up: one implementation a length of the table, so that the loop has no branch.</summary>
    internal interface ITable
    {
        static abstract Vector512<float> Lookup(Vector512<int> codes, float* table);
    }

    internal readonly struct Table16 : ITable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Lookup(Vector512<int> codes, float* table) =>
            Avx512F.PermuteVar16x32(Vector512.Load(table), codes);
    }

    internal readonly struct Table32 : ITable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Lookup(Vector512<int> codes, float* table) =>
            Avx512F.PermuteVar16x32x2(Vector512.Load(table), codes, Vector512.Load(table + 16));
    }

    internal readonly struct Table64 : ITable
    {
        // A permute looks at the low five bits of a lane; the sixth chooses between two.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Lookup(Vector512<int> codes, float* table) => Vector512.ConditionalSelect(
            Vector512.LessThan(codes, Vector512.Create(32)).AsSingle(),
            Table32.Lookup(codes, table),
            Table32.Lookup(codes, table + 32));
    }

    internal readonly struct TableInCache : ITable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Lookup(Vector512<int> codes, float* table) => Vector512.Create(
            Avx2.GatherVector256(table, codes.GetLower(), sizeof(float)),
            Avx2.GatherVector256(table, codes.GetUpper(), sizeof(float)));
    }
}
