using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Kernels.Cpu;

namespace TorchAO.Formats.Half.Kernels;

/// <summary>
/// Computes <c>y[m] = Σ_k x[m, k] · w[k]</c> with 16-bit floating-point weights for one weight row and up to
/// <see cref="RowProduct.MaxRows"/> activation rows. The paths agree bit for bit wherever every partial sum is exact.
/// </summary>
internal static unsafe class HalfDot
{
    /// <summary>Computes with the widest vectors that this processor runs at full speed.</summary>
    /// <param name="codes">The row, K values.</param>
    /// <param name="length">K.</param>
    /// <param name="x">Activations, rows of K.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows.</param>
    /// <param name="y">Receives m results.</param>
    public static void Best<TLanes>(ushort* codes, int length, float* x, long stride, int m, float* y)
        where TLanes : struct, IHalfLanes
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Wide512<TLanes>(codes, length, x, stride, m, y);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Wide256<TLanes>(codes, length, x, stride, m, y);
        }
        else
        {
            Scalar<TLanes>(codes, length, x, stride, m, y);
        }
    }

    /// <summary>The reference: the definition, in order, one element at a time.</summary>
    internal static void Scalar<TLanes>(ushort* codes, int length, float* x, long stride, int m, float* y)
        where TLanes : struct, IHalfLanes
    {
        new Span<float>(y, m).Clear();
        AddRest<TLanes>(codes, 0, length, x, stride, m, y);
    }

    // A step is 64 values in four vectors; what is left at the end goes 16 at a time and then one by one.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide512<TLanes>(ushort* codes, int length, float* x, long stride, int m, float* y)
        where TLanes : struct, IHalfLanes
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows);
        Vector512<float>* sums = stackalloc Vector512<float>[RowProduct.MaxRows];
        new Span<Vector512<float>>(sums, m).Clear();
        int k = 0;
        if (m == 1)
        {
            sums[0] = Single512<TLanes>(codes, length, x, ref k);
        }

        for (; k + 64 <= length; k += 64)
        {
            CodePrefetch.Ahead(codes + k);
            CodePrefetch.Ahead(codes + k + 32);
            VectorProduct.Add512(
                Load512<TLanes>(codes + k), Load512<TLanes>(codes + k + 16), Load512<TLanes>(codes + k + 32), Load512<TLanes>(codes + k + 48),
                x + k, stride, m, sums);
        }

        for (; k + 16 <= length; k += 16)
        {
            Vector512<float> weight = Load512<TLanes>(codes + k);
            for (int i = 0; i < m; i++)
            {
                sums[i] = Vector512.MultiplyAddEstimate(Vector512.Load(x + (i * stride) + k), weight, sums[i]);
            }
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector512.Sum(sums[i]);
        }

        AddRest<TLanes>(codes, k, length, x, stride, m, y);
    }

    // The same with half the width: a step is 32 values.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide256<TLanes>(ushort* codes, int length, float* x, long stride, int m, float* y)
        where TLanes : struct, IHalfLanes
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows);
        Vector256<float>* sums = stackalloc Vector256<float>[RowProduct.MaxRows];
        new Span<Vector256<float>>(sums, m).Clear();
        int k = 0;
        for (; k + 32 <= length; k += 32)
        {
            CodePrefetch.Ahead(codes + k);
            VectorProduct.Add256(
                Load256<TLanes>(codes + k), Load256<TLanes>(codes + k + 8), Load256<TLanes>(codes + k + 16), Load256<TLanes>(codes + k + 24),
                x + k, stride, m, sums);
        }

        for (; k + 8 <= length; k += 8)
        {
            Vector256<float> weight = Load256<TLanes>(codes + k);
            for (int i = 0; i < m; i++)
            {
                sums[i] = Vector256.MultiplyAddEstimate(Vector256.Load(x + (i * stride) + k), weight, sums[i]);
            }
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector256.Sum(sums[i]);
        }

        AddRest<TLanes>(codes, k, length, x, stride, m, y);
    }

    /// <summary>Widens values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Decode<TLanes>(ushort* codes, int count, float* to)
        where TLanes : struct, IHalfLanes
    {
        int k = 0;
        for (; Vector512.IsHardwareAccelerated && k + 16 <= count; k += 16)
        {
            Load512<TLanes>(codes + k).Store(to + k);
        }

        for (; k < count; k++)
        {
            to[k] = TLanes.Widen(codes[k]);
        }
    }

    // One activation row, which is decode: four sums in registers, so that no addition waits for the one before.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector512<float> Single512<TLanes>(ushort* codes, int length, float* x, ref int k)
        where TLanes : struct, IHalfLanes
    {
        Vector512<float> sum0 = Vector512<float>.Zero, sum1 = sum0, sum2 = sum0, sum3 = sum0;
        for (; k + 64 <= length; k += 64)
        {
            CodePrefetch.Ahead(codes + k);
            CodePrefetch.Ahead(codes + k + 32);
            sum0 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k), Load512<TLanes>(codes + k), sum0);
            sum1 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 16), Load512<TLanes>(codes + k + 16), sum1);
            sum2 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 32), Load512<TLanes>(codes + k + 32), sum2);
            sum3 = Vector512.MultiplyAddEstimate(Vector512.Load(x + k + 48), Load512<TLanes>(codes + k + 48), sum3);
        }

        return sum0 + sum1 + (sum2 + sum3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRest<TLanes>(ushort* codes, int k, int length, float* x, long stride, int m, float* y)
        where TLanes : struct, IHalfLanes
    {
        for (; k < length; k++)
        {
            float weight = TLanes.Widen(codes[k]);
            for (int i = 0; i < m; i++)
            {
                y[i] += x[(i * stride) + k] * weight;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load512<TLanes>(ushort* codes)
        where TLanes : struct, IHalfLanes
    {
        var narrow = Vector256.Load(codes);
        return TLanes.Widen(Avx512F.IsSupported
            ? Avx512F.ConvertToVector512UInt32(narrow)
            : Vector512.WidenLower(narrow.ToVector512Unsafe()));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Load256<TLanes>(ushort* codes)
        where TLanes : struct, IHalfLanes
    {
        var narrow = Vector128.Load(codes);
        return TLanes.Widen(Avx2.IsSupported
            ? Avx2.ConvertToVector256Int32(narrow).AsUInt32()
            : Vector256.WidenLower(narrow.ToVector256Unsafe()));
    }
}
