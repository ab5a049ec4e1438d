using TorchAO.Formats.Mx.Kernels;
using TorchAO.Numerics;
using TorchAO.Primitives;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Mx.Kernels;

/// <summary>Every path decodes every code, and the sums agree bit for bit where they are exact.</summary>
public sealed unsafe class MxDotTests
{
    public static TheoryData<MxElementType> Elements => [.. Enum.GetValues<MxElementType>()];

    public static TheoryData<MxElementType, int, int, int> Shapes()
    {
        var shapes = new TheoryData<MxElementType, int, int, int>();
        foreach (MxElementType type in Enum.GetValues<MxElementType>())
        {
            foreach ((int length, int blockSize) in new[] { (32, 32), (96, 32), (160, 32), (128, 64), (192, 192) })
            {
                foreach (int m in new[] { 1, 2, 5, 8 })
                {
                    shapes.Add(type, length, blockSize, m);
                }
            }
        }

        return shapes;
    }

    [Theory]
    [MemberData(nameof(Elements))]
    public void Each_finite_code_has_its_value_in_every_path(MxElementType type)
    {
        var element = MxElement.Of(type);
        byte[] codes = new byte[32];
        for (int code = 0; code < 1 << element.Bits; code++)
        {
            if (!float.IsFinite(element.Values[code]))
            {
                continue;
            }

            for (int place = 0; place < 32; place++)
            {
                Array.Clear(codes);
                codes[place] = (byte)code;
                float[] x = new float[32];
                x[place] = 1;

                foreach (float[] sum in Paths(element, codes, [127], 32, x, 1))
                {
                    Assert.True(element.Values[code] == sum[0], $"{type} code {code} at {place}: {sum[0]}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_paths_agree_bit_for_bit_where_sums_are_exact(MxElementType type, int length, int blockSize, int m)
    {
        var element = MxElement.Of(type);
        var random = new Random(length + m);
        // Magnitudes below 4 and few fraction bits: products of small whole numbers stay exact in 24 bits.
        byte[] small = [.. Enumerable.Range(0, 1 << element.Bits).Where(code => IsHalf(element.Values[code])).Select(code => (byte)code)];
        byte[] codes = [.. Enumerable.Range(0, length).Select(_ => small[random.Next(small.Length)])];
        byte[] scales = [.. Enumerable.Range(0, length / blockSize).Select(_ => (byte)random.Next(125, 130))];
        float[] x = [.. Enumerable.Range(0, length * m).Select(_ => (float)random.Next(-8, 9))];

        float[][] results = Paths(element, codes, scales, blockSize, x, m);

        Assert.Contains(results[0], sum => sum != 0);
        Assert.All(results[1..], result => Assert.Equal(results[0], result));
    }

    [Fact]
    public void The_smallest_and_the_largest_scale_are_powers_of_two()
    {
        var element = MxElement.Of(MxElementType.Float4E2M1);
        byte[] codes = [2, .. new byte[31]];

        Assert.All(Paths(element, codes, [0], 32, Ones(32), 1), sum => Assert.Equal(MathF.ScaleB(1, -127), sum[0]));
        Assert.All(Paths(element, codes, [254], 32, Ones(32), 1), sum => Assert.Equal(MathF.ScaleB(1, 127), sum[0]));
    }

    private static bool IsHalf(float value) => MathF.Abs(value) < 4 && value * 2 == MathF.Round(value * 2);

    private static float[] Ones(int count) => [.. Enumerable.Repeat(1f, count)];

    private static float[][] Paths(MxElement element, byte[] codes, byte[] scales, int blockSize, float[] x, int m) =>
        element.Type switch
        {
            MxElementType.Float8E4M3 => Paths<Mx8Codes<Float8E4M3>>(element, codes, scales, blockSize, x, m),
            MxElementType.Float8E5M2 => Paths<Mx8Codes<Float8E5M2>>(element, codes, scales, blockSize, x, m),
            MxElementType.Float6E3M2 => Paths<Mx6Codes<Float6E3M2>>(element, codes, scales, blockSize, x, m),
            MxElementType.Float6E2M3 => Paths<Mx6Codes<Float6E2M3>>(element, codes, scales, blockSize, x, m),
            _ => Paths<Mx4Codes>(element, codes, scales, blockSize, x, m),
        };

    // The packed codes are an array of just their length, so that a read behind them would meet other data.
    private static float[][] Paths<TCodes>(MxElement element, byte[] codes, byte[] scales, int blockSize, float[] x, int m)
        where TCodes : struct, IMxCodes
    {
        using Tensor unpacked = tensor(codes).reshape(1, -1);
        using Tensor stream = BitStreamRows.Pack(unpacked, TCodes.Bits);
        byte[] packed = stream.bytes.ToArray();
        float[] split = new float[x.Length];
        for (int i = 0; i < m; i++)
        {
            MxLinearCpu.Split(x.AsSpan(i * codes.Length, codes.Length), split.AsSpan(i * codes.Length, codes.Length));
        }

        float[] scalar = new float[m], wide256 = new float[m], wide512 = new float[m];
        fixed (byte* p = packed, s = scales)
        fixed (float* natural = x, ordered = TCodes.IsSplit ? split : x, y0 = scalar, y1 = wide256, y2 = wide512)
        {
            var row = new MxRow(p, s, codes.Length, blockSize);
            MxDot.Scalar(row, element.Values, TCodes.Bits, natural, codes.Length, m, y0);
            MxDot.Wide256<TCodes>(row, ordered, codes.Length, m, y1);
            MxDot.Wide512<TCodes>(row, ordered, codes.Length, m, y2);
        }

        return [scalar, wide256, wide512];
    }
}
