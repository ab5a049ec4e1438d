using TorchAO.Kernels.Cpu;
using Xunit;

namespace TorchAO.Tests.Kernels.Cpu;

public sealed unsafe class FixedPointTests
{
    private const int Stride = 512;
    private const double Bound = 1.004 / (1 << 23);

    [Fact]
    public void The_wide_path_agrees_with_the_reference_for_every_length()
    {
        var random = new Random(1);
        for (int length = 0; length <= 70; length++)
        {
            float[] x = [.. Enumerable.Range(0, length).Select(_ => (float)(random.NextDouble() - 0.5) * MathF.Pow(2, random.Next(-30, 30)))];
            (float step, sbyte[] digits, int[] sums) = Split(FixedPoint.Wide512, x);
            (float expectedStep, sbyte[] expectedDigits, int[] expectedSums) = Split(FixedPoint.Scalar, x);
            Assert.Equal(expectedStep, step);
            Assert.Equal(expectedDigits, digits);
            Assert.Equal(expectedSums, sums);
        }
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(1f)]
    [InlineData(1.9999999f)]
    [InlineData(-1.9921873f)]
    [InlineData(3.4028235e38f)]
    [InlineData(1.4e-45f)]
    [InlineData(1e-30f)]
    public void Digits_give_the_largest_number_back(float largest)
    {
        (float step, sbyte[] digits, _) = Split(FixedPoint.Wide512, [largest, 0, largest / 2]);

        double error = Math.Abs(largest - (Integer(digits, 0) * (double)step));
        Assert.True(error <= Math.Max(Math.Abs(largest) * Bound, 0.5 * step), $"{largest} moved by {error}");
        Assert.Equal(0, Integer(digits, 1));
    }

    [Fact]
    public void No_number_moves_by_more_than_the_bound_and_bfloat16_not_at_all()
    {
        var random = new Random(2);
        for (int round = 0; round < 200; round++)
        {
            float[] x = [.. Enumerable.Range(0, 100).Select(_ => (float)(random.NextDouble() - 0.5))];
            float largest = x.Max(MathF.Abs);
            (float step, sbyte[] digits, _) = Split(FixedPoint.Wide512, x);
            float[] rounded = [.. x.Select(value => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000))];
            (float stepOfRounded, sbyte[] digitsOfRounded, _) = Split(FixedPoint.Wide512, rounded);
            for (int i = 0; i < x.Length; i++)
            {
                Assert.True(Math.Abs(x[i] - ((double)Integer(digits, i) * step)) <= largest * Bound);
                if (MathF.Abs(rounded[i]) >= largest / (1 << 14))
                {
                    Assert.Equal(rounded[i], Integer(digitsOfRounded, i) * stepOfRounded);
                }
            }
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Numbers_without_a_place_in_fixed_point_are_refused_wherever_they_stand(float value)
    {
        for (int i = 0; i < 40; i++)
        {
            float[] x = new float[40];
            x[i] = value;
            Assert.True(float.IsNaN(Split(FixedPoint.Wide512, x).Step));
            Assert.True(float.IsNaN(Split(FixedPoint.Scalar, x).Step));
        }
    }

    private static int Integer(sbyte[] digits, int i) => (digits[i] * 65536) + (digits[Stride + i] * 256) + digits[(2 * Stride) + i];

    private static (float Step, sbyte[] Digits, int[] Sums) Split(Splitting split, float[] x)
    {
        sbyte[] digits = new sbyte[FixedPoint.Planes * Stride];
        Array.Fill(digits, (sbyte)99);
        int[] sums = new int[FixedPoint.Planes];
        fixed (sbyte* d = digits)
        fixed (int* s = sums)
        {
            byte[] bytes = System.Runtime.InteropServices.MemoryMarshal.AsBytes(x.AsSpan()).ToArray();
            using var guarded = new GuardedOperands(bytes);
            float step = split((float*)guarded[0], x.Length, d, Stride, s);
            return (step, digits, sums);
        }
    }

    private delegate float Splitting(float* x, int length, sbyte* digits, int stride, int* sums);
}
