using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>Floating-point numbers that share an exponent, as integers of three bytes.</summary>
/// <remarks>
/// With the largest magnitude A of a block, <c>x = q · step</c>, where step is the least power of two with <c>A / step ≤ Largest</c>.
/// A number that is a multiple of the step is exact: all of bfloat16 down to A · 2⁻¹⁴ and of float16 down to A · 2⁻¹¹. Others move by
/// at most half a step, 1.004 · A · 2⁻²³, the distance of neighbouring float32 numbers below A: a sum of products over a block is as
/// good as one of float32 products, and better than one that is also added up in float32, since integers add up exactly.
/// The bytes are digits to the base 256, signed: <c>q = 65536 · d2 + 256 · d1 + d0</c>.
/// </remarks>
internal static unsafe class FixedPoint
{
    /// <summary>Bytes of a number.</summary>
    public const int Planes = 3;

    /// <summary>The largest integer whose digits are signed bytes: 127 · 65536 + 127 · 256 + 127.</summary>
    public const int Largest = 0x7F7F7F;

    private const int Bias = 0x808080; // added, then taken off each byte: carries are done by one addition
    private const int MantissaBits = 23;
    private const int ExponentBias = 127;
    private const int LeastExponent = -104; // below it the reciprocal of the step would be infinite
    private const uint Infinity = 0x7F800000;

    /// <summary>Gets what digits count, the highest first.</summary>
    public static ReadOnlySpan<float> Weights => [65536f, 256f, 1f];

    /// <summary>Cuts a block.</summary>
    /// <param name="x">The numbers.</param>
    /// <param name="length">How many.</param>
    /// <param name="digits">Receives three rows of <paramref name="stride"/> bytes, the highest digits first; behind
    /// <paramref name="length"/> they are zero.</param>
    /// <param name="stride">The distance of the rows, at least <paramref name="length"/>.</param>
    /// <param name="sums">Receives the sum of each row.</param>
    /// <returns>The step, or NaN where a number is not finite; then nothing is written.</returns>
    public static float Split(float* x, int length, sbyte* digits, int stride, int* sums) => Vector512.IsHardwareAccelerated
        ? Wide512(x, length, digits, stride, sums)
        : Scalar(x, length, digits, stride, sums);

    /// <summary>The reference: one number at a time.</summary>
    internal static float Scalar(float* x, int length, sbyte* digits, int stride, int* sums)
    {
        uint largest = 0;
        for (int i = 0; i < length; i++)
        {
            largest = Math.Max(largest, BitConverter.SingleToUInt32Bits(x[i]) & int.MaxValue);
        }

        if (largest >= Infinity)
        {
            return float.NaN;
        }

        float step = Step(largest);
        new Span<byte>(digits, Planes * stride).Clear();
        new Span<int>(sums, Planes).Clear();
        Rest(x, 0, length, 1 / step, digits, stride, sums);
        return step;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float Wide512(float* x, int length, sbyte* digits, int stride, int* sums)
    {
        Debug.Assert(stride >= length);
        Vector512<uint> most = default;
        int whole = length / 16 * 16;
        for (int i = 0; i < whole; i += 16)
        {
            most = Vector512.Max(most, Vector512.Load((uint*)x + i) & Vector512.Create((uint)int.MaxValue));
        }

        uint largest = 0;
        for (int i = 0; i < 16; i++)
        {
            largest = Math.Max(largest, most.GetElement(i));
        }

        for (int i = whole; i < length; i++)
        {
            largest = Math.Max(largest, BitConverter.SingleToUInt32Bits(x[i]) & int.MaxValue);
        }

        if (largest >= Infinity)
        {
            return float.NaN;
        }

        float step = Step(largest);
        var inverse = Vector512.Create(1 / step);
        Vector512<int> high = default, middle = default, low = default;
        for (int i = 0; i < whole; i += 16)
        {
            Vector512<int> q = (ToNearest(Vector512.Load(x + i) * inverse) + Vector512.Create(Bias)) ^ Vector512.Create(Bias);
            Vector512<int> d2 = (q << 8) >> 24, d1 = (q << 16) >> 24, d0 = (q << 24) >> 24;
            (high, middle, low) = (high + d2, middle + d1, low + d0);
            Narrow(d2).Store(digits + i);
            Narrow(d1).Store(digits + stride + i);
            Narrow(d0).Store(digits + (2 * stride) + i);
        }

        sums[0] = Vector512.Sum(high);
        sums[1] = Vector512.Sum(middle);
        sums[2] = Vector512.Sum(low);
        for (int plane = 0; plane < Planes; plane++)
        {
            new Span<byte>(digits + (plane * stride) + whole, stride - whole).Clear();
        }

        Rest(x, whole, length, 1 / step, digits, stride, sums);
        return step;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rest(float* x, int begin, int end, float inverse, sbyte* digits, int stride, int* sums)
    {
        for (int i = begin; i < end; i++)
        {
            int q = ((int)MathF.Round(x[i] * inverse) + Bias) ^ Bias;
            for (int plane = 0; plane < Planes; plane++)
            {
                sbyte digit = unchecked((sbyte)(q >> (16 - (8 * plane))));
                digits[(plane * stride) + i] = digit;
                sums[plane] += digit;
            }
        }
    }

    // The step for a largest magnitude, which is finite: a power of two, as is its reciprocal.
    private static float Step(uint largestBits)
    {
        float largest = BitConverter.UInt32BitsToSingle(largestBits);
        int exponent = Math.Max((int)(largestBits >> MantissaBits) - ExponentBias, LeastExponent);
        float step = PowerOfTwo(exponent - MantissaBits + 1);
        return largest <= Largest * step ? step : 2 * step;
    }

    private static float PowerOfTwo(int exponent) =>
        BitConverter.UInt32BitsToSingle((uint)(exponent + ExponentBias) << MantissaBits);

    // Whole numbers below 2²³ in magnitude: rounding to an integer first is exact.
    private static Vector512<int> ToNearest(Vector512<float> values) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(values)
        : Vector512.ConvertToInt32(Vector512.Round(values));

    /// <summary>Takes the low bytes of integers that fit them.</summary>
    public static Vector128<sbyte> Narrow(Vector512<int> values)
    {
        if (Avx512F.IsSupported)
        {
            return Avx512F.ConvertToVector128SByte(values);
        }

        Vector256<short> half = Vector256.Narrow(values.GetLower(), values.GetUpper());
        return Vector128.Narrow(half.GetLower(), half.GetUpper());
    }
}
