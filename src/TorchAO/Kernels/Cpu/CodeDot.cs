using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>
/// Computes <c>y[m] = Σ_k x[m, k] · (code[k] − zero[k / group]) · scale[k / group]</c> for one weight row and up to
/// <see cref="MaxRows"/> activation rows. The paths agree bit for bit wherever every partial sum is exact.
/// </summary>
internal static unsafe class CodeDot
{
    /// <summary>Activation rows that share one pass over the codes.</summary>
    public const int MaxRows = 8;

    /// <summary>Computes with the widest vectors that this processor runs at full speed.</summary>
    /// <param name="row">The weight row.</param>
    /// <param name="x">Activations, rows of K.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows, at most <see cref="MaxRows"/>.</param>
    /// <param name="y">Receives m results.</param>
    public static void Best(in CodeRow row, float* x, long stride, int m, float* y)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Wide512(row, x, stride, m, y);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Wide256(row, x, stride, m, y);
        }
        else
        {
            Scalar(row, x, stride, m, y);
        }
    }

    /// <summary>The reference: the definition, in order, one element at a time.</summary>
    internal static void Scalar(in CodeRow row, float* x, long stride, int m, float* y)
    {
        for (int i = 0; i < m; i++)
        {
            float sum = 0;
            for (int k = 0; k < row.Length; k++)
            {
                int g = k / row.GroupSize;
                float zero = row.Zeros == null ? 0 : row.Zeros[g];
                sum += x[(i * stride) + k] * (row.Codes[k] - zero) * row.Scales[g];
            }

            y[i] = sum;
        }
    }

    // A step takes 64 codes into four float vectors, which stay in registers and serve all activation rows; only one
    // addition a step waits for the step before. A group that is no multiple of 64 ends in steps of 16 and then in single
    // codes. The scale is applied to the weights, once for all rows.
    internal static void Wide512(in CodeRow row, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        if (row.Zeros == null)
        {
            Wide512<WithoutZeros>(row, x, stride, m, y);
        }
        else
        {
            Wide512<WithZeros>(row, x, stride, m, y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide512<TZeros>(in CodeRow row, float* x, long stride, int m, float* y)
        where TZeros : struct, IZeros
    {
        if (m == 1)
        {
            y[0] = Single512<TZeros>(row, x);
            return;
        }

        Vector512<float>* total = stackalloc Vector512<float>[MaxRows];
        float* rest = stackalloc float[MaxRows];
        new Span<Vector512<float>>(total, m).Clear();
        new Span<float>(rest, m).Clear();
        for (int start = 0, g = 0; start < row.Length; start += row.GroupSize, g++)
        {
            var scale = Vector512.Create(row.Scales[g]);
            var zero = Vector512.Create(TZeros.Of(row, g));
            int end = start + row.GroupSize;
            int k = start;
            for (; k + 64 <= end; k += 64)
            {
                Vector512<float> w0 = Load512<TZeros>(row.Codes + k, zero) * scale;
                Vector512<float> w1 = Load512<TZeros>(row.Codes + k + 16, zero) * scale;
                Vector512<float> w2 = Load512<TZeros>(row.Codes + k + 32, zero) * scale;
                Vector512<float> w3 = Load512<TZeros>(row.Codes + k + 48, zero) * scale;
                VectorProduct.Add512(w0, w1, w2, w3, x + k, stride, m, total);
            }

            for (; k + 16 <= end; k += 16)
            {
                Vector512<float> weight = Load512<TZeros>(row.Codes + k, zero) * scale;
                for (int i = 0; i < m; i++)
                {
                    total[i] = Vector512.MultiplyAddEstimate(Vector512.Load(x + (i * stride) + k), weight, total[i]);
                }
            }

            AddRest<TZeros>(row, g, k, end, x, stride, m, rest);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector512.Sum(total[i]) + rest[i];
        }
    }

    // The same with half the width: a step takes 32 codes, a group ends in steps of 8.
    internal static void Wide256(in CodeRow row, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        if (row.Zeros == null)
        {
            Wide256<WithoutZeros>(row, x, stride, m, y);
        }
        else
        {
            Wide256<WithZeros>(row, x, stride, m, y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide256<TZeros>(in CodeRow row, float* x, long stride, int m, float* y)
        where TZeros : struct, IZeros
    {
        if (m == 1)
        {
            y[0] = Single256<TZeros>(row, x);
            return;
        }

        Vector256<float>* total = stackalloc Vector256<float>[MaxRows];
        float* rest = stackalloc float[MaxRows];
        new Span<Vector256<float>>(total, m).Clear();
        new Span<float>(rest, m).Clear();
        for (int start = 0, g = 0; start < row.Length; start += row.GroupSize, g++)
        {
            var scale = Vector256.Create(row.Scales[g]);
            var zero = Vector256.Create(TZeros.Of(row, g));
            int end = start + row.GroupSize;
            int k = start;
            for (; k + 32 <= end; k += 32)
            {
                Vector256<float> w0 = Load256<TZeros>(row.Codes + k, zero) * scale;
                Vector256<float> w1 = Load256<TZeros>(row.Codes + k + 8, zero) * scale;
                Vector256<float> w2 = Load256<TZeros>(row.Codes + k + 16, zero) * scale;
                Vector256<float> w3 = Load256<TZeros>(row.Codes + k + 24, zero) * scale;
                VectorProduct.Add256(w0, w1, w2, w3, x + k, stride, m, total);
            }

            for (; k + 8 <= end; k += 8)
            {
                Vector256<float> weight = Load256<TZeros>(row.Codes + k, zero) * scale;
                for (int i = 0; i < m; i++)
                {
                    total[i] = Vector256.MultiplyAddEstimate(Vector256.Load(x + (i * stride) + k), weight, total[i]);
                }
            }

            AddRest<TZeros>(row, g, k, end, x, stride, m, rest);
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector256.Sum(total[i]) + rest[i];
        }
    }

    // One activation row, which is decode: the sums stay in registers, and the scale is applied to a group's sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Single512<TZeros>(in CodeRow row, float* x)
        where TZeros : struct, IZeros
    {
        Vector512<float> total = Vector512<float>.Zero;
        float rest = 0;
        for (int start = 0, g = 0; start < row.Length; start += row.GroupSize, g++)
        {
            var zero = Vector512.Create(TZeros.Of(row, g));
            Vector512<float> even = Vector512<float>.Zero;
            Vector512<float> odd = Vector512<float>.Zero;
            sbyte* codes = row.Codes;
            int end = start + row.GroupSize;
            int k = start;
            for (; k + 64 <= end; k += 64)
            {
                CodePrefetch.Ahead(row.Codes + k);
                Vector512<float> first = Vector512.Load(x + k) * Load512<TZeros>(codes + k, zero);
                Vector512<float> second = Vector512.Load(x + k + 16) * Load512<TZeros>(codes + k + 16, zero);
                even += Vector512.MultiplyAddEstimate(
                    Vector512.Load(x + k + 32), Load512<TZeros>(codes + k + 32, zero), first);
                odd += Vector512.MultiplyAddEstimate(
                    Vector512.Load(x + k + 48), Load512<TZeros>(codes + k + 48, zero), second);
            }

            for (; k + 16 <= end; k += 16)
            {
                even = Vector512.MultiplyAddEstimate(Vector512.Load(x + k), Load512<TZeros>(codes + k, zero), even);
            }

            AddRest<TZeros>(row, g, k, end, x, 0, 1, &rest);
            total = Vector512.MultiplyAddEstimate(even + odd, Vector512.Create(row.Scales[g]), total);
        }

        return Vector512.Sum(total) + rest;
    }

    // One activation row, which is decode: the sums stay in registers, and the scale is applied to a group's sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Single256<TZeros>(in CodeRow row, float* x)
        where TZeros : struct, IZeros
    {
        Vector256<float> total = Vector256<float>.Zero;
        float rest = 0;
        for (int start = 0, g = 0; start < row.Length; start += row.GroupSize, g++)
        {
            var zero = Vector256.Create(TZeros.Of(row, g));
            Vector256<float> even = Vector256<float>.Zero;
            Vector256<float> odd = Vector256<float>.Zero;
            sbyte* codes = row.Codes;
            int end = start + row.GroupSize;
            int k = start;
            for (; k + 32 <= end; k += 32)
            {
                CodePrefetch.Ahead(row.Codes + k);
                Vector256<float> first = Vector256.Load(x + k) * Load256<TZeros>(codes + k, zero);
                Vector256<float> second = Vector256.Load(x + k + 8) * Load256<TZeros>(codes + k + 8, zero);
                even += Vector256.MultiplyAddEstimate(
                    Vector256.Load(x + k + 16), Load256<TZeros>(codes + k + 16, zero), first);
                odd += Vector256.MultiplyAddEstimate(
                    Vector256.Load(x + k + 24), Load256<TZeros>(codes + k + 24, zero), second);
            }

            for (; k + 8 <= end; k += 8)
            {
                even = Vector256.MultiplyAddEstimate(Vector256.Load(x + k), Load256<TZeros>(codes + k, zero), even);
            }

            AddRest<TZeros>(row, g, k, end, x, 0, 1, &rest);
            total = Vector256.MultiplyAddEstimate(even + odd, Vector256.Create(row.Scales[g]), total);
        }

        return Vector256.Sum(total) + rest;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRest<TZeros>(in CodeRow row, int g, int k, int end, float* x, long stride, int m, float* rest)
        where TZeros : struct, IZeros
    {
        for (; k < end; k++)
        {
            float weight = (row.Codes[k] - TZeros.Of(row, g)) * row.Scales[g];
            for (int i = 0; i < m; i++)
            {
                rest[i] += x[(i * stride) + k] * weight;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load512<TZeros>(sbyte* codes, Vector512<float> zero)
        where TZeros : struct, IZeros
    {
        var narrow = Vector128.Load(codes);
        Vector512<float> values = Vector512.ConvertToSingle(Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(narrow)
            : Vector512.WidenLower(Vector256.WidenLower(narrow.ToVector256Unsafe()).ToVector512Unsafe()));
        return TZeros.ArePresent ? values - zero : values;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Load256<TZeros>(sbyte* codes, Vector256<float> zero)
        where TZeros : struct, IZeros
    {
        var narrow = Vector64.Load(codes).ToVector128Unsafe();
        Vector256<float> values = Vector256.ConvertToSingle(Avx2.IsSupported
            ? Avx2.ConvertToVector256Int32(narrow)
            : Vector256.WidenLower(Vector128.WidenLower(narrow).ToVector256Unsafe()));
        return TZeros.ArePresent ? values - zero : values;
    }

    /// <summary>Whether a row has zeros: a type, so that rows without pay nothing.</summary>
    private interface IZeros
    {
        static abstract bool ArePresent { get; }

        static abstract float Of(in CodeRow row, int group);
    }

    private readonly struct WithZeros : IZeros
    {
        public static bool ArePresent => true;

        public static float Of(in CodeRow row, int group) => row.Zeros[group];
    }

    private readonly struct WithoutZeros : IZeros
    {
        public static bool ArePresent => false;

        public static float Of(in CodeRow row, int group) => 0;
    }
}
