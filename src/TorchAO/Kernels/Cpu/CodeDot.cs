using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>
/// Computes <c>y[m] = Σ_k x[m, k] · code[k] · scale[k / group]</c> for one weight row and up to <see cref="MaxRows"/>
/// activation rows. The paths agree bit for bit wherever every partial sum is exact.
/// </summary>
internal static unsafe class CodeDot
{
    /// <summary>Activation rows that share one pass over the codes.</summary>
    public const int MaxRows = 8;

    /// <summary>Computes with the widest vectors that this processor runs at full speed.</summary>
    /// <param name="codes">A row of codes, one a byte.</param>
    /// <param name="scales">The row's scales, <c>length / groupSize</c> of them.</param>
    /// <param name="length">K.</param>
    /// <param name="groupSize">Codes that share a scale; divides K.</param>
    /// <param name="x">Activations, rows of K.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows, at most <see cref="MaxRows"/>.</param>
    /// <param name="y">Receives m results.</param>
    public static void Best(sbyte* codes, float* scales, int length, int groupSize, float* x, long stride, int m, float* y)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Wide512(codes, scales, length, groupSize, x, stride, m, y);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Wide256(codes, scales, length, groupSize, x, stride, m, y);
        }
        else
        {
            Scalar(codes, scales, length, groupSize, x, stride, m, y);
        }
    }

    /// <summary>The reference: the definition, in order, one element at a time.</summary>
    internal static void Scalar(sbyte* codes, float* scales, int length, int groupSize, float* x, long stride, int m, float* y)
    {
        for (int i = 0; i < m; i++)
        {
            float sum = 0;
            for (int k = 0; k < length; k++)
            {
                sum += x[(i * stride) + k] * codes[k] * scales[k / groupSize];
            }

            y[i] = sum;
        }
    }

    // A step takes 64 codes into four float vectors, which stay in registers and serve all activation rows; only one
    // addition a step waits for the step before. A group that is no multiple of 64 ends in steps of 16 and then in single
    // codes; its scale is applied to the group's sum, once.
    internal static void Wide512(sbyte* codes, float* scales, int length, int groupSize, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        if (m == 1)
        {
            y[0] = Single512(codes, scales, length, groupSize, x);
            return;
        }

        Vector512<float>* group = stackalloc Vector512<float>[MaxRows];
        Vector512<float>* total = stackalloc Vector512<float>[MaxRows];
        float* rest = stackalloc float[MaxRows];
        new Span<Vector512<float>>(total, m).Clear();
        new Span<float>(rest, m).Clear();
        for (int start = 0, g = 0; start < length; start += groupSize, g++)
        {
            new Span<Vector512<float>>(group, m).Clear();
            int end = start + groupSize;
            int k = start;
            for (; k + 64 <= end; k += 64)
            {
                Vector512<float> w0 = Load512(codes + k);
                Vector512<float> w1 = Load512(codes + k + 16);
                Vector512<float> w2 = Load512(codes + k + 32);
                Vector512<float> w3 = Load512(codes + k + 48);
                float* row = x + k;
                for (int i = 0; i < m; i++, row += stride)
                {
                    Vector512<float> even = Vector512.Load(row) * w0;
                    Vector512<float> odd = Vector512.Load(row + 16) * w1;
                    even = Vector512.MultiplyAddEstimate(Vector512.Load(row + 32), w2, even);
                    odd = Vector512.MultiplyAddEstimate(Vector512.Load(row + 48), w3, odd);
                    group[i] += even + odd;
                }
            }

            for (; k + 16 <= end; k += 16)
            {
                Vector512<float> w = Load512(codes + k);
                for (int i = 0; i < m; i++)
                {
                    group[i] = Vector512.MultiplyAddEstimate(Vector512.Load(x + (i * stride) + k), w, group[i]);
                }
            }

            AddRest(codes, scales[g], k, end, x, stride, m, rest);
            var scale = Vector512.Create(scales[g]);
            for (int i = 0; i < m; i++)
            {
                total[i] = Vector512.MultiplyAddEstimate(group[i], scale, total[i]);
            }
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector512.Sum(total[i]) + rest[i];
        }
    }

    // The same with half the width: a step takes 32 codes, a group ends in steps of 8.
    internal static void Wide256(sbyte* codes, float* scales, int length, int groupSize, float* x, long stride, int m, float* y)
    {
        Debug.Assert(m is > 0 and <= MaxRows);
        if (m == 1)
        {
            y[0] = Single256(codes, scales, length, groupSize, x);
            return;
        }

        Vector256<float>* group = stackalloc Vector256<float>[MaxRows];
        Vector256<float>* total = stackalloc Vector256<float>[MaxRows];
        float* rest = stackalloc float[MaxRows];
        new Span<Vector256<float>>(total, m).Clear();
        new Span<float>(rest, m).Clear();
        for (int start = 0, g = 0; start < length; start += groupSize, g++)
        {
            new Span<Vector256<float>>(group, m).Clear();
            int end = start + groupSize;
            int k = start;
            for (; k + 32 <= end; k += 32)
            {
                Vector256<float> w0 = Load256(codes + k);
                Vector256<float> w1 = Load256(codes + k + 8);
                Vector256<float> w2 = Load256(codes + k + 16);
                Vector256<float> w3 = Load256(codes + k + 24);
                float* row = x + k;
                for (int i = 0; i < m; i++, row += stride)
                {
                    Vector256<float> even = Vector256.Load(row) * w0;
                    Vector256<float> odd = Vector256.Load(row + 8) * w1;
                    even = Vector256.MultiplyAddEstimate(Vector256.Load(row + 16), w2, even);
                    odd = Vector256.MultiplyAddEstimate(Vector256.Load(row + 24), w3, odd);
                    group[i] += even + odd;
                }
            }

            for (; k + 8 <= end; k += 8)
            {
                Vector256<float> w = Load256(codes + k);
                for (int i = 0; i < m; i++)
                {
                    group[i] = Vector256.MultiplyAddEstimate(Vector256.Load(x + (i * stride) + k), w, group[i]);
                }
            }

            AddRest(codes, scales[g], k, end, x, stride, m, rest);
            var scale = Vector256.Create(scales[g]);
            for (int i = 0; i < m; i++)
            {
                total[i] = Vector256.MultiplyAddEstimate(group[i], scale, total[i]);
            }
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector256.Sum(total[i]) + rest[i];
        }
    }

    // One activation row, which is decode: the sums stay in registers.
    private static float Single512(sbyte* codes, float* scales, int length, int groupSize, float* x)
    {
        Vector512<float> total = Vector512<float>.Zero;
        float rest = 0;
        for (int start = 0, g = 0; start < length; start += groupSize, g++)
        {
            Vector512<float> even = Vector512<float>.Zero;
            Vector512<float> odd = Vector512<float>.Zero;
            int end = start + groupSize;
            int k = start;
            for (; k + 64 <= end; k += 64)
            {
                Vector512<float> first = Vector512.Load(x + k) * Load512(codes + k);
                Vector512<float> second = Vector512.Load(x + k + 16) * Load512(codes + k + 16);
                even += Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 32), Load512(codes + k + 32), first);
                odd += Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 48), Load512(codes + k + 48), second);
            }

            for (; k + 16 <= end; k += 16)
            {
                even = Vector512.MultiplyAddEstimate(Vector512.Load(x + k), Load512(codes + k), even);
            }

            AddRest(codes, scales[g], k, end, x, 0, 1, &rest);
            total = Vector512.MultiplyAddEstimate(even + odd, Vector512.Create(scales[g]), total);
        }

        return Vector512.Sum(total) + rest;
    }

    // One activation row, which is decode: the sums stay in registers.
    private static float Single256(sbyte* codes, float* scales, int length, int groupSize, float* x)
    {
        Vector256<float> total = Vector256<float>.Zero;
        float rest = 0;
        for (int start = 0, g = 0; start < length; start += groupSize, g++)
        {
            Vector256<float> even = Vector256<float>.Zero;
            Vector256<float> odd = Vector256<float>.Zero;
            int end = start + groupSize;
            int k = start;
            for (; k + 32 <= end; k += 32)
            {
                Vector256<float> first = Vector256.Load(x + k) * Load256(codes + k);
                Vector256<float> second = Vector256.Load(x + k + 8) * Load256(codes + k + 8);
                even += Vector256.MultiplyAddEstimate(Vector256.Load(x + k + 16), Load256(codes + k + 16), first);
                odd += Vector256.MultiplyAddEstimate(Vector256.Load(x + k + 24), Load256(codes + k + 24), second);
            }

            for (; k + 8 <= end; k += 8)
            {
                even = Vector256.MultiplyAddEstimate(Vector256.Load(x + k), Load256(codes + k), even);
            }

            AddRest(codes, scales[g], k, end, x, 0, 1, &rest);
            total = Vector256.MultiplyAddEstimate(even + odd, Vector256.Create(scales[g]), total);
        }

        return Vector256.Sum(total) + rest;
    }

    private static void AddRest(sbyte* codes, float scale, int k, int end, float* x, long stride, int m, float* rest)
    {
        for (; k < end; k++)
        {
            float weight = codes[k] * scale;
            for (int i = 0; i < m; i++)
            {
                rest[i] += x[(i * stride) + k] * weight;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load512(sbyte* codes)
    {
        var narrow = Vector128.Load(codes);
        return Vector512.ConvertToSingle(Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(narrow)
            : Vector512.WidenLower(Vector256.WidenLower(narrow.ToVector256Unsafe()).ToVector512Unsafe()));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Load256(sbyte* codes)
    {
        var narrow = Vector64.Load(codes).ToVector128Unsafe();
        return Vector256.ConvertToSingle(Avx2.IsSupported
            ? Avx2.ConvertToVector256Int32(narrow)
            : Vector256.WidenLower(Vector128.WidenLower(narrow).ToVector256Unsafe()));
    }
}
