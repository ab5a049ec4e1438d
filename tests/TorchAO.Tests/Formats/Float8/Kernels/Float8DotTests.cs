using TorchAO.Formats.Float8.Kernels;
using TorchAO.Numerics;
using TorchAO.Runtime.Libtorch;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Float8.Kernels;

public sealed unsafe class Float8DotTests
{
    public static TheoryData<ScalarType> Types => [ScalarTypes.Float8E4M3, ScalarTypes.Float8E5M2];

    /// <summary>Codes of small whole numbers, where every partial sum is exact and order cannot matter.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void All_paths_agree_bit_for_bit_at_every_length(ScalarType type)
    {
        for (int length = 1; length <= 140; length++)
        {
            foreach (int m in new[] { 1, 2, 5, 8 })
            {
                var random = new Random((1000 * length) + m);
                byte[] codes = [.. Enumerable.Range(0, length).Select(_ => Encode(type, random.Next(-4, 5)))];
                float[] x = [.. Enumerable.Range(0, m * length).Select(_ => (float)random.Next(-8, 9))];

                (float[] scalar, float[] wide512, float[] wide256) = Run(codes, type, x, length, m);

                Assert.Equal(scalar, wide512);
                Assert.Equal(scalar, wide256);
            }
        }
    }

    /// <summary>Each code at each place of a step, among zeros: subnormal, infinite and no number too.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void Every_code_has_the_value_of_the_codec_on_every_path(ScalarType type)
    {
        const int Length = 130;
        for (int code = 0; code < 256; code++)
        {
            int place = code * 37 % Length;
            byte[] codes = new byte[Length];
            codes[place] = (byte)code;
            float[] x = [.. Enumerable.Range(0, Length).Select(k => k == place ? 1f : 0)];
            float expected = Decode(type, (byte)code);

            (float[] scalar, float[] wide512, float[] wide256) = Run(codes, type, x, Length, 1);

            Assert.Equal(expected, scalar[0]);
            Assert.Equal(expected, wide512[0]);
            Assert.Equal(expected, wide256[0]);
        }
    }

    private static (float[] Scalar, float[] Wide512, float[] Wide256) Run(byte[] codes, ScalarType type, float[] x, int length, int m)
    {
        float[] scalar = [.. Enumerable.Repeat(-1f, m)], wide512 = [.. scalar], wide256 = [.. scalar];
        fixed (byte* c = codes)
        fixed (float* xs = x, y = scalar, y512 = wide512, y256 = wide256)
        {
            var row = new Float8Row(c, type, length);
            Float8Dot.Scalar(row, xs, length, m, y);
            Float8Dot.Wide512(row, xs, length, m, y512);
            Float8Dot.Wide256(row, xs, length, m, y256);
        }

        return (scalar, wide512, wide256);
    }

    private static byte Encode(ScalarType type, float value) => type == ScalarTypes.Float8E4M3
        ? FloatCodec<Float8E4M3>.Encode(value)
        : FloatCodec<Float8E5M2>.Encode(value);

    private static float Decode(ScalarType type, byte code) => type == ScalarTypes.Float8E4M3
        ? FloatCodec<Float8E4M3>.Decode(code)
        : FloatCodec<Float8E5M2>.Decode(code);
}
