using System.Runtime.Intrinsics;
using TorchAO.Formats.Half.Kernels;
using Xunit;

namespace TorchAO.Tests.Formats.Half.Kernels;

/// <summary>Every code widens to its value, and the paths agree bit for bit where sums are exact.</summary>
public sealed unsafe class HalfDotTests
{
    [Fact]
    public void Every_finite_float16_widens_exactly() => EachCode<Float16Lanes>(code => (float)BitConverter.UInt16BitsToHalf(code));

    [Fact]
    public void Every_finite_bfloat16_widens_exactly() => EachCode<BFloat16Lanes>(code => BitConverter.UInt32BitsToSingle((uint)code << 16));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(8)]
    public void The_paths_agree_for_every_length_of_two_steps_and_more(int m)
    {
        for (int length = 1; length <= 150; length++)
        {
            var random = new Random(length);
            System.Half[] weights = [.. Enumerable.Range(0, length).Select(_ => (System.Half)random.Next(-8, 9))];
            Check<Float16Lanes>([.. weights.Select(BitConverter.HalfToUInt16Bits)], m, random);
            Check<BFloat16Lanes>([.. weights.Select(weight => (ushort)(BitConverter.SingleToUInt32Bits((float)weight) >> 16))], m, random);
        }
    }

    // Rows end where their memory ends: what a path read behind them would be NaN.
    private static void Check<TLanes>(ushort[] codes, int m, Random random)
        where TLanes : struct, IHalfLanes
    {
        int length = codes.Length, stride = length + 3;
        float[] x = [.. Enumerable.Range(0, stride * m).Select(i => i % stride < length ? random.Next(-8, 9) : float.NaN)];
        ushort[] guarded = [.. codes, .. Enumerable.Repeat((ushort)0x7fff, 64)];
        float[] scalar = new float[m], wide256 = new float[m], wide512 = new float[m];
        fixed (ushort* c = guarded)
        fixed (float* activations = x, y0 = scalar, y1 = wide256, y2 = wide512)
        {
            HalfDot.Scalar<TLanes>(c, length, activations, stride, m, y0);
            HalfDot.Wide256<TLanes>(c, length, activations, stride, m, y1);
            HalfDot.Wide512<TLanes>(c, length, activations, stride, m, y2);
        }

        Assert.Equal(scalar, wide256);
        Assert.Equal(scalar, wide512);
        Assert.DoesNotContain(scalar, float.IsNaN);
    }

    private static void EachCode<TLanes>(Func<ushort, float> value)
        where TLanes : struct, IHalfLanes
    {
        for (int code = 0; code <= ushort.MaxValue; code++)
        {
            float expected = value((ushort)code);
            if (!float.IsFinite(expected))
            {
                continue;
            }

            uint bits = BitConverter.SingleToUInt32Bits(expected);
            Assert.Equal(bits, BitConverter.SingleToUInt32Bits(TLanes.Widen((ushort)code)));
            Assert.Equal(bits, BitConverter.SingleToUInt32Bits(TLanes.Widen(Vector256.Create((uint)code))[7]));
            Assert.Equal(bits, BitConverter.SingleToUInt32Bits(TLanes.Widen(Vector512.Create((uint)code))[15]));
        }
    }
}
