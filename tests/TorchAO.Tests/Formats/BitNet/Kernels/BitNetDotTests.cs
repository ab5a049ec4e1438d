using TorchAO.Formats.BitNet.Kernels;
using TorchAO.Primitives;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.BitNet.Kernels;

/// <summary>The paths agree bit for bit where sums are exact, for every remainder of a step.</summary>
public sealed unsafe class BitNetDotTests
{
    private static readonly byte[] Codes = [0, 1, 3];

    public static TheoryData<int> Rows => [1, 2, 5, 8];

    [Theory]
    [MemberData(nameof(Rows))]
    public void The_paths_agree_for_every_length_of_two_steps_and_more(int m)
    {
        for (int length = 1; length <= 140; length++)
        {
            var random = new Random(length);
            byte[] codes = [.. Enumerable.Range(0, length).Select(_ => Codes[random.Next(3)])];
            float[] x = [.. Enumerable.Range(0, length * m).Select(_ => (float)random.Next(-8, 9))];

            (float[] scalar, float[] wide256, float[] wide512) = Paths(codes, x, m);

            Assert.Equal(scalar, wide256);
            Assert.Equal(scalar, wide512);
        }
    }

    [Fact]
    public void A_place_at_a_time_gives_each_code()
    {
        float[] values = [0, 1, float.NaN, -1];
        for (int place = 0; place < 130; place++)
        {
            byte[] codes = [.. Enumerable.Range(0, 130).Select(k => Codes[k % 3])];
            float[] x = new float[130];
            x[place] = 1;

            (float[] scalar, float[] wide256, float[] wide512) = Paths(codes, x, 1);

            float expected = 0.5f * values[codes[place]];
            Assert.Equal([expected, expected, expected], [scalar[0], wide256[0], wide512[0]]);
        }
    }

    private static (float[] Scalar, float[] Wide256, float[] Wide512) Paths(byte[] codes, float[] x, int m)
    {
        using Tensor unpacked = tensor(codes).reshape(1, -1);
        using Tensor stream = BitStreamRows.Pack(unpacked, 2);
        byte[] packed = stream.bytes.ToArray();
        int length = codes.Length;
        int stride = (int)BitNetDot.PanelLength(length) + 16;
        float[] panel = new float[stride * m];
        panel.AsSpan().Fill(float.NaN);
        for (int i = 0; i < m; i++)
        {
            BitNetDot.Interleave(x.AsSpan(i * length, length), panel.AsSpan(i * stride, stride));
        }

        float[] scalar = new float[m], wide256 = new float[m], wide512 = new float[m];
        fixed (byte* p = packed)
        fixed (float* natural = x, ordered = panel, y0 = scalar, y1 = wide256, y2 = wide512)
        {
            BitNetDot.Scalar(p, length, 0.5f, natural, length, m, y0);
            BitNetDot.Wide256(p, length, 0.5f, ordered, stride, m, y1);
            BitNetDot.Wide512(p, length, 0.5f, ordered, stride, m, y2);
        }

        return (scalar, wide256, wide512);
    }
}
