using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Cpu;

/// <summary>Four vectors of decoded weights times a few rows of activations: the inner step of the products that decode once for all rows.</summary>
internal static unsafe class VectorProduct
{
    /// <summary>Gets the float32 lanes of the widest vector that this processor runs at full speed: 16, 8, or 0 for none.</summary>
    public static int BestLanes => Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 0;

    /// <summary>Adds <c>Σ_j x[i, j] · w[j]</c> over 64 neighbours to the sums of each of m rows, lane by lane.</summary>
    /// <remarks>Only one addition a row waits for the step before.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add512(
        Vector512<float> w0, Vector512<float> w1, Vector512<float> w2, Vector512<float> w3,
        float* x, long stride, int m, Vector512<float>* sums)
    {
        for (int i = 0; i < m; i++, x += stride)
        {
            sums[i] += Sum512(w0, w1, w2, w3, x);
        }
    }

    /// <summary>The same over 32 neighbours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add256(
        Vector256<float> w0, Vector256<float> w1, Vector256<float> w2, Vector256<float> w3,
        float* x, long stride, int m, Vector256<float>* sums)
    {
        for (int i = 0; i < m; i++, x += stride)
        {
            sums[i] += Sum256(w0, w1, w2, w3, x);
        }
    }

    /// <summary>Computes <c>Σ_j x[j] · w[j]</c> over 64 neighbours, lane by lane, in two chains.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sum512(
        Vector512<float> w0, Vector512<float> w1, Vector512<float> w2, Vector512<float> w3, float* x)
    {
        Vector512<float> even = Vector512.Load(x) * w0;
        Vector512<float> odd = Vector512.Load(x + 16) * w1;
        even = Vector512.MultiplyAddEstimate(Vector512.Load(x + 32), w2, even);
        odd = Vector512.MultiplyAddEstimate(Vector512.Load(x + 48), w3, odd);
        return even + odd;
    }

    /// <summary>Computes <c>Σ_j x[j] · w[j]</c> over 32 neighbours, lane by lane, in two chains.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sum256(
        Vector256<float> w0, Vector256<float> w1, Vector256<float> w2, Vector256<float> w3, float* x)
    {
        Vector256<float> even = Vector256.Load(x) * w0;
        Vector256<float> odd = Vector256.Load(x + 8) * w1;
        even = Vector256.MultiplyAddEstimate(Vector256.Load(x + 16), w2, even);
        odd = Vector256.MultiplyAddEstimate(Vector256.Load(x + 24), w3, odd);
        return even + odd;
    }
}
