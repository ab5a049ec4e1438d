using TorchAO.Formats.Int4.Kernels;
using Xunit;

namespace TorchAO.Tests.Formats.Int4.Kernels;

/// <summary>The paths over small whole numbers, where every partial sum is exact and order cannot matter.</summary>
public sealed unsafe class Int4DotTests
{
    public static TheoryData<int, int> LengthsAndGroups()
    {
        var data = new TheoryData<int, int>();
        foreach ((int length, int group) in new[]
                 {
                     (8, 8), (16, 8), (96, 32), (128, 32), (160, 32), (256, 32), (320, 64), (448, 64), (128, 128), (384, 128),
                     (512, 256), (768, 256), (192, 96), (480, 160), (240, 24),
                 })
        {
            data.Add(length, group);
        }

        // One scale a row: every remainder of both block lengths.
        for (int length = 1; length <= 150; length++)
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
            byte[] codes = new byte[(length + 1) / 2];
            random.NextBytes(codes);
            float[] scales = [.. Enumerable.Range(0, length / group).Select(_ => (float)random.Next(1, 5) / 4)];
            float[] x = [.. Enumerable.Range(0, m * length).Select(_ => (float)random.Next(-8, 9))];
            fixed (byte* c = codes)
            fixed (float* s = scales, xs = x)
            {
                var row = new Int4Row(c, s, length, group);
                float[] expected = new float[m];
                fixed (float* y = expected)
                {
                    Int4Dot.Scalar(row, xs, m, y);
                }

                Assert.Equal(expected, Run(row, 16, x, m, poison: float.NaN));
                Assert.Equal(expected, Run(row, 8, x, m, poison: float.NaN));
            }
        }
    }

    [Fact]
    public void Panel_holds_every_element_once_and_zeros_behind_them()
    {
        float[] row = [.. Enumerable.Range(1, 200).Select(i => (float)i)];
        float[] panel = new float[Int4Panel.Stride(200, lanes: 16)];
        Array.Fill(panel, float.NaN);

        Int4Panel.Permute(row, 16, panel);

        Assert.Equal(256 + 16, panel.Length);
        Assert.Equal(row, panel.Where(x => x != 0).Order());
        Assert.Equal(72, panel.Count(x => x == 0));
        Assert.Equal(row[(8 * 3) + 5], panel[(16 * 5) + 3]);
    }

    private static float[] Run(in Int4Row row, int lanes, float[] x, int m, float poison)
    {
        int stride = checked((int)Int4Panel.Stride(row.Length, lanes));
        float[] panel = new float[m * stride];
        for (int i = 0; i < m; i++)
        {
            Int4Panel.Permute(x.AsSpan(i * row.Length, row.Length), lanes, panel.AsSpan(i * stride, stride));
        }

        float[] result = new float[m];
        Array.Fill(result, poison);
        fixed (float* p = panel, y = result)
        {
            switch (row.Length == row.GroupSize ? 0 : row.GroupSize)
            {
                case 0:
                    Wide<RowScales>(lanes, row, p, m, y);
                    break;
                case 32:
                    Wide<Group32Scales>(lanes, row, p, m, y);
                    break;
                case 64:
                    Wide<Group64Scales>(lanes, row, p, m, y);
                    break;
                case int group when group % 128 == 0:
                    Wide<WholeBlockScales>(lanes, row, p, m, y);
                    break;
                default:
                    Wide<AnyGroupScales>(lanes, row, p, m, y);
                    break;
            }
        }

        return result;
    }

    private static void Wide<TScales>(int lanes, in Int4Row row, float* x, int m, float* y)
        where TScales : struct, ILaneScales
    {
        if (lanes == 16)
        {
            Int4Dot.Wide512<TScales>(row, x, m, y);
        }
        else
        {
            Int4Dot.Wide256<TScales>(row, x, m, y);
        }
    }
}
