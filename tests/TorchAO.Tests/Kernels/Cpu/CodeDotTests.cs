using TorchAO.Kernels.Cpu;
using Xunit;

namespace TorchAO.Tests.Kernels.Cpu;

/// <summary>The paths over small whole numbers, where every partial sum is exact and order cannot matter.</summary>
public sealed unsafe class CodeDotTests
{
    public static TheoryData<int, int> LengthsAndGroups()
    {
        var data = new TheoryData<int, int>();
        foreach ((int length, int group) in new[]
                 {
                     (12, 3), (30, 10), (64, 16), (96, 32), (128, 64), (256, 128), (300, 100), (172, 43), (210, 70),
                 })
        {
            data.Add(length, group);
        }

        for (int length = 1; length <= 140; length++)
        {
            data.Add(length, length);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(LengthsAndGroups))]
    public void All_paths_agree_bit_for_bit(int length, int group)
    {
        foreach (int m in new[] { 1, 2, 5, 8 })
        {
            var random = new Random((1000 * length) + group + m);
            sbyte[] codes = [.. Enumerable.Range(0, length).Select(_ => (sbyte)random.Next(-128, 128))];
            float[] scales = [.. Enumerable.Range(0, length / group).Select(_ => (float)random.Next(1, 5) / 4)];
            float[] x = [.. Enumerable.Range(0, m * length).Select(_ => (float)random.Next(-8, 9))];
            float[] zeros = [.. scales.Select(_ => (float)random.Next(-128, 129))];
            fixed (sbyte* c = codes)
            fixed (float* s = scales, z = zeros, xs = x)
            {
                Check(new CodeRow(c, s, null, length, group), xs, m);
                Check(new CodeRow(c, s, z, length, group), xs, m);
            }
        }
    }

    private static void Check(in CodeRow row, float* x, int m)
    {
        float[] expected = new float[m];
        float[] wide512 = [.. Enumerable.Repeat(float.NaN, m)];
        float[] wide256 = [.. Enumerable.Repeat(float.NaN, m)];
        fixed (float* y = expected, y512 = wide512, y256 = wide256)
        {
            CodeDot.Scalar(row, x, row.Length, m, y);
            CodeDot.Wide512(row, x, row.Length, m, y512);
            CodeDot.Wide256(row, x, row.Length, m, y256);
        }

        Assert.Equal(expected, wide512);
        Assert.Equal(expected, wide256);
    }
}
