using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Kernels.Cpu;

namespace TorchAO.Formats.Mx.Kernels;

/// <summary>
/// Computes <c>y[m] = Σ_k x[m, k] · decode(code[k]) · 2^(scale[k / block] − 127)</c> for one weight row and up to
/// <see cref="RowProduct.MaxRows"/> activation rows. The paths agree bit for bit wherever every partial sum is exact.
/// </summary>
/// <remarks>A step is 32 codes, which share a scale. Where a row serves several activations its values are scaled, which is
/// exact, before they are used; one activation row scales the step's sum instead.</remarks>
internal static unsafe class MxDot
{
    /// <summary>Codes of a step; block sizes are multiples of it.</summary>
    public const int Step = 32;

    /// <summary>The reference: the definition, in order, one element at a time, over activations in their own order.</summary>
    internal static void Scalar(in MxRow row, IReadOnlyList<float> values, int bits, float* x, long stride, int m, float* y)
    {
        for (int i = 0; i < m; i++)
        {
            float sum = 0;
            for (int k = 0; k < row.Length; k++)
            {
                sum += x[(i * stride) + k] * (values[BitStreamDecode.Code(row.Codes, bits, k)] * Scale(row.Scales[k / row.BlockSize]));
            }

            y[i] = sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide512<TCodes>(in MxRow row, float* x, long stride, int m, float* y)
        where TCodes : struct, IMxCodes
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows && row.BlockSize % Step == 0);
        if (m == 1)
        {
            y[0] = Single512<TCodes>(row, x);
            return;
        }

        Vector512<float>* sums = stackalloc Vector512<float>[RowProduct.MaxRows];
        new Span<Vector512<float>>(sums, m).Clear();
        byte* codes = row.Codes;
        for (int block = 0, k = 0; k < row.Length; block++)
        {
            var scale = Vector512.Create(Scale(row.Scales[block]));
            for (int end = k + row.BlockSize; k < end; k += Step, codes += Step * TCodes.Bits / 8)
            {
                TCodes.Load512(codes, out Vector512<float> first, out Vector512<float> second);
                first *= scale;
                second *= scale;
                float* activations = x + k;
                for (int i = 0; i < m; i++, activations += stride)
                {
                    Vector512<float> sum = Vector512.MultiplyAddEstimate(Vector512.Load(activations), first, sums[i]);
                    sums[i] = Vector512.MultiplyAddEstimate(Vector512.Load(activations + 16), second, sum);
                }
            }
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector512.Sum(sums[i]);
        }
    }

    /// <summary>Computes some values of a row in the order in which <typeparamref name="TCodes"/> decodes, by vectors of 512 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Decode<TCodes>(in MxRow row, int begin, int count, float* to)
        where TCodes : struct, IMxCodes
    {
        Debug.Assert(begin % Step == 0 && count % Step == 0);
        byte* codes = row.Codes + (begin * TCodes.Bits / 8);
        for (int k = begin; k < begin + count; k += Step, codes += Step * TCodes.Bits / 8, to += Step)
        {
            var scale = Vector512.Create(Scale(row.Scales[k / row.BlockSize]));
            TCodes.Load512(codes, out Vector512<float> first, out Vector512<float> second);
            (first * scale).Store(to);
            (second * scale).Store(to + 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Wide256<TCodes>(in MxRow row, float* x, long stride, int m, float* y)
        where TCodes : struct, IMxCodes
    {
        Debug.Assert(m is > 0 and <= RowProduct.MaxRows && row.BlockSize % Step == 0);
        int between = TCodes.IsSplit ? 16 : 8; // from a half's first vector to its second
        int half = 24 - between; // from the first half's vectors to the second's
        Vector256<float>* sums = stackalloc Vector256<float>[RowProduct.MaxRows];
        new Span<Vector256<float>>(sums, m).Clear();
        byte* codes = row.Codes;
        for (int block = 0, k = 0; k < row.Length; block++)
        {
            var scale = Vector256.Create(Scale(row.Scales[block]));
            for (int end = k + row.BlockSize; k < end; k += Step, codes += Step * TCodes.Bits / 8)
            {
                TCodes.Load256(codes, 0, out Vector256<float> w0, out Vector256<float> w1);
                TCodes.Load256(codes, 1, out Vector256<float> w2, out Vector256<float> w3);
                float* activations = x + k;
                for (int i = 0; i < m; i++, activations += stride)
                {
                    Vector256<float> even = Vector256.Load(activations) * w0;
                    Vector256<float> odd = Vector256.Load(activations + between) * w1;
                    even = Vector256.MultiplyAddEstimate(Vector256.Load(activations + half), w2, even);
                    odd = Vector256.MultiplyAddEstimate(Vector256.Load(activations + half + between), w3, odd);
                    sums[i] = Vector256.MultiplyAddEstimate(even + odd, scale, sums[i]);
                }
            }
        }

        for (int i = 0; i < m; i++)
        {
            y[i] = Vector256.Sum(sums[i]);
        }
    }

    // One activation row, which is decode: the sum stays in a register.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Single512<TCodes>(in MxRow row, float* x)
        where TCodes : struct, IMxCodes
    {
        Vector512<float> sum = Vector512<float>.Zero;
        byte* codes = row.Codes;
        byte* scales = row.Scales;
        for (float* end = x + row.Length; x < end; scales++)
        {
            var scale = Vector512.Create(Scale(*scales));
            for (int step = 0; step < row.BlockSize; step += Step, x += Step, codes += Step * TCodes.Bits / 8)
            {
                CodePrefetch.Ahead(codes);
                TCodes.Load512(codes, out Vector512<float> first, out Vector512<float> second);
                Vector512<float> part = Vector512.Load(x) * first;
                part = Vector512.MultiplyAddEstimate(Vector512.Load(x + 16), second, part);
                sum = Vector512.MultiplyAddEstimate(part, scale, sum);
            }
        }

        return Vector512.Sum(sum);
    }

    // 2^-127, the value of code 0, is a subnormal; every other code is a float32's exponent as it stands.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Scale(byte code) => BitConverter.Int32BitsToSingle(code == 0 ? 1 << 22 : code << 23);
}
