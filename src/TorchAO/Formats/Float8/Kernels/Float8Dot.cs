using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Kernels.Cpu;
using TorchAO.Numerics;

namespace TorchAO.Formats.Float8.Kernels;

/// <summary>
/// Computes <c>y[m] = Σ_k x[m, k] · value(code[k])</c> for one weight row and up to <see cref="MaxRows"/> activation rows.
/// The paths agree bit for bit wherever every partial sum is exact.
/// </summary>
internal static unsafe class Float8Dot
{
    /// <summary>Activation rows that share one pass over the codes.</summary>
    public const int MaxRows = 8;

    private const int Step512 = 64;
    private const int Step256 = 32;

    /// <summary>Computes with the widest vectors that this processor runs at full speed.</summary>
    /// <param name="row">The weight row.</param>
    /// <param name="x">Activations, rows of K.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows, at most <see cref="MaxRows"/>.</param>
    /// <param name="y">Receives m results.</param>
    public static void Best(in Float8Row row, float* x, long stride, int m, float* y)
    {
        switch (VectorProduct.BestLanes)
        {
            case 16:
                Wide512(row, x, stride, m, y);
                break;
            case 8:
                Wide256(row, x, stride, m, y);
                break;
            default:
                Scalar(row, x, stride, m, y);
                break;
        }
    }

    /// <summary>The reference: the definition, in order, one element at a time.</summary>
    internal static void Scalar(in Float8Row row, float* x, long stride, int m, float* y)
    {
        new Span<float>(y, m).Clear();
        AddOneByOne(row, 0, row.Length, x, stride, m, y);
    }

    // A step takes 64 codes into four float vectors, which stay in registers and serve all activation rows; only one
    // addition a step waits for the step before. A step with an infinite code or none, and the end of the row, go one by one.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide512(in Float8Row row, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        Vector512<float>* sums = stackalloc Vector512<float>[MaxRows];
        new Span<Vector512<float>>(sums, m).Clear();
        new Span<float>(y, m).Clear();
        var magnitude = Vector512.Create((byte)0x7F);
        var largest = Vector512.Create(row.LargestFinite);
        int k = 0;
        for (; k + Step512 <= row.Length; k += Step512)
        {
            byte* codes = row.Codes + k;
            CodePrefetch.Ahead(codes);
            if (Vector512.GreaterThanAny(Vector512.Load(codes) & magnitude, largest))
            {
                AddOneByOne(row, k, k + Step512, x, stride, m, y);
                continue;
            }

            Vector512<float> w0 = Decode512(row, codes);
            Vector512<float> w1 = Decode512(row, codes + 16);
            Vector512<float> w2 = Decode512(row, codes + 32);
            Vector512<float> w3 = Decode512(row, codes + 48);
            VectorProduct.Add512(w0, w1, w2, w3, x + k, stride, m, sums);
        }

        AddOneByOne(row, k, row.Length, x, stride, m, y);
        for (int i = 0; i < m; i++)
        {
            y[i] += Vector512.Sum(sums[i]);
        }
    }

    // The same with half the width: a step takes 32 codes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide256(in Float8Row row, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        Vector256<float>* sums = stackalloc Vector256<float>[MaxRows];
        new Span<Vector256<float>>(sums, m).Clear();
        new Span<float>(y, m).Clear();
        var magnitude = Vector256.Create((byte)0x7F);
        var largest = Vector256.Create(row.LargestFinite);
        int k = 0;
        for (; k + Step256 <= row.Length; k += Step256)
        {
            byte* codes = row.Codes + k;
            CodePrefetch.Ahead(codes);
            if (Vector256.GreaterThanAny(Vector256.Load(codes) & magnitude, largest))
            {
                AddOneByOne(row, k, k + Step256, x, stride, m, y);
                continue;
            }

            Vector256<float> w0 = Decode256(row, codes);
            Vector256<float> w1 = Decode256(row, codes + 8);
            Vector256<float> w2 = Decode256(row, codes + 16);
            Vector256<float> w3 = Decode256(row, codes + 24);
            VectorProduct.Add256(w0, w1, w2, w3, x + k, stride, m, sums);
        }

        AddOneByOne(row, k, row.Length, x, stride, m, y);
        for (int i = 0; i < m; i++)
        {
            y[i] += Vector256.Sum(sums[i]);
        }
    }

    /// <summary>Computes the values of some codes of a row, times a factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Decode(in Float8Row row, int begin, int count, float factor, float* to)
    {
        int k = begin, end = begin + count;
        for (; Vector512.IsHardwareAccelerated && k + Step512 <= end; k += Step512, to += Step512)
        {
            byte* codes = row.Codes + k;
            if (Vector512.GreaterThanAny(Vector512.Load(codes) & Vector512.Create((byte)0x7F), Vector512.Create(row.LargestFinite)))
            {
                DecodeOneByOne(row, k, k + Step512, factor, to);
                continue;
            }

            (Decode512(row, codes) * factor).Store(to);
            (Decode512(row, codes + 16) * factor).Store(to + 16);
            (Decode512(row, codes + 32) * factor).Store(to + 32);
            (Decode512(row, codes + 48) * factor).Store(to + 48);
        }

        DecodeOneByOne(row, k, end, factor, to);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DecodeOneByOne(in Float8Row row, int begin, int end, float factor, float* to)
    {
        for (int k = begin; k < end; k++)
        {
            to[k - begin] = factor * Value(row, k);
        }
    }

    private static float Value(in Float8Row row, int k) =>
        row.IsE4M3 ? FloatCodec<Float8E4M3>.Decode(row.Codes[k]) : FloatCodec<Float8E5M2>.Decode(row.Codes[k]);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddOneByOne(in Float8Row row, int begin, int end, float* x, long stride, int m, float* y)
    {
        for (int k = begin; k < end; k++)
        {
            float weight = Value(row, k);
            for (int i = 0; i < m; i++)
            {
                y[i] += x[(i * stride) + k] * weight;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Decode512(in Float8Row row, byte* codes)
    {
        var narrow = Vector128.Load((sbyte*)codes);
        Vector512<int> wide = Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(narrow)
            : Vector512.WidenLower(Vector256.WidenLower(narrow.ToVector256Unsafe()).ToVector512Unsafe());
        return ((wide << row.Shift) & Vector512.Create(row.Mask)).AsSingle() * row.Factor;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Decode256(in Float8Row row, byte* codes)
    {
        var narrow = Vector64.Load((sbyte*)codes).ToVector128Unsafe();
        Vector256<int> wide = Avx2.IsSupported
            ? Avx2.ConvertToVector256Int32(narrow)
            : Vector256.WidenLower(Vector128.WidenLower(narrow).ToVector256Unsafe());
        return ((wide << row.Shift) & Vector256.Create(row.Mask)).AsSingle() * row.Factor;
    }
}
