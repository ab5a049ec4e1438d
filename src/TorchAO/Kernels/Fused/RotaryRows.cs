using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Fused;

/// <summary>Rotary positions of the heads of a token (Su et al. 2021, arXiv:2104.09864), pairs being the halves of a head.</summary>
/// <remarks>
/// With h = D / 2 and i below h: <c>y[i] = x[i] · cos[i] − x[i + h] · sin[i]</c> and
/// <c>y[i + h] = x[i + h] · cos[i + h] + x[i] · sin[i + h]</c>, in float32.
/// </remarks>
public static unsafe class RotaryRows
{
    /// <summary>Rotates the heads of one token.</summary>
    /// <param name="heads">Heads <c>[H, D]</c>, D even.</param>
    /// <param name="cosine">Cosines of the token's position, <c>[D]</c>; says D.</param>
    /// <param name="sine">Sines, <c>[D]</c>.</param>
    /// <param name="output">The rotated heads <c>[H, D]</c>; may be the input.</param>
    /// <exception cref="ArgumentException">The lengths do not fit each other, or D is odd.</exception>
    public static void Run(ReadOnlySpan<float> heads, ReadOnlySpan<float> cosine, ReadOnlySpan<float> sine, Span<float> output)
    {
        int size = cosine.Length;
        SpanLengths.RequireRows(heads.Length, size, nameof(heads));
        SpanLengths.Require(size % 2 == 0, nameof(cosine), size, size + 1);
        SpanLengths.Require(sine.Length == size, nameof(sine), sine.Length, size);
        SpanLengths.Require(output.Length == heads.Length, nameof(output), output.Length, heads.Length);
        fixed (float* x = heads, c = cosine, s = sine, y = output)
        {
            for (int at = 0; at < heads.Length; at += size)
            {
                switch (Widest.Lanes(size / 2))
                {
                    case 16:
                        Wide512(x + at, c, s, y + at, size / 2);
                        break;
                    case 8:
                        Wide256(x + at, c, s, y + at, size / 2);
                        break;
                    case 4:
                        Wide128(x + at, c, s, y + at, size / 2);
                        break;
                    default:
                        Scalar(x + at, c, s, y + at, size / 2, 0);
                        break;
                }
            }
        }
    }

    /// <summary>The reference for one head, from pair <paramref name="first"/> on: the definition, in order.</summary>
    internal static void Scalar(float* head, float* cosine, float* sine, float* output, int half, int first = 0)
    {
        for (int i = first; i < half; i++)
        {
            (float low, float high) = (head[i], head[i + half]);
            output[i] = (low * cosine[i]) - (high * sine[i]);
            output[i + half] = (high * cosine[i + half]) + (low * sine[i + half]);
        }
    }

    internal static void Wide128(float* head, float* cosine, float* sine, float* output, int half) =>
        Wide<Lanes128, Vector128<float>>(head, cosine, sine, output, half);

    internal static void Wide256(float* head, float* cosine, float* sine, float* output, int half) =>
        Wide<Lanes256, Vector256<float>>(head, cosine, sine, output, half);

    internal static void Wide512(float* head, float* cosine, float* sine, float* output, int half) =>
        Wide<Lanes512, Vector512<float>>(head, cosine, sine, output, half);

    // Both halves are read before either is written, so that the output may be the input.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Wide<TLanes, TVector>(float* head, float* cosine, float* sine, float* output, int half)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector minus = TLanes.Broadcast(-1);
        int i = 0;
        for (; i <= half - TLanes.Count; i += TLanes.Count)
        {
            (TVector low, TVector high) = (TLanes.Load(head + i), TLanes.Load(head + i + half));
            TVector turned = TLanes.Multiply(TLanes.Multiply(high, minus), TLanes.Load(sine + i));
            TLanes.Store(TLanes.MultiplyAdd(low, TLanes.Load(cosine + i), turned), output + i);
            turned = TLanes.Multiply(low, TLanes.Load(sine + i + half));
            TLanes.Store(TLanes.MultiplyAdd(high, TLanes.Load(cosine + i + half), turned), output + i + half);
        }

        Scalar(head, cosine, sine, output, half, i);
    }
}
