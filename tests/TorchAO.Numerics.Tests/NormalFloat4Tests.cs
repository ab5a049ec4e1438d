using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class NormalFloat4Tests
{
    [Fact]
    public void Every_code_comes_back_from_its_value_and_values_rise()
    {
        for (int code = 0; code < 16; code++)
        {
            Assert.Equal(code, NormalFloat4.Encode(NormalFloat4.Decode((byte)code)));
            Assert.Equal(NormalFloat4.Values[code], NormalFloat4.Decode((byte)code));
            Assert.True(code == 0 || NormalFloat4.Values[code - 1] < NormalFloat4.Values[code]);
        }
    }

    [Fact]
    public void All_numbers_become_the_code_of_the_shortest_distance()
    {
        List<float> values = [];
        for (int i = -4400; i <= 4400; i++)
        {
            values.Add(i / 4096f);
        }

        for (int code = 0; code < 15; code++)
        {
            float middle = (NormalFloat4.Values[code] + NormalFloat4.Values[code + 1]) / 2;
            values.AddRange(
            [
                middle, MathF.BitIncrement(middle), MathF.BitDecrement(middle),
                MathF.BitIncrement(MathF.BitIncrement(middle)), MathF.BitDecrement(MathF.BitDecrement(middle)),
            ]);
        }

        byte[] codes = new byte[values.Count];
        NormalFloat4.Encode(values.ToArray(), codes);
        for (int i = 0; i < codes.Length; i++)
        {
            Assert.True(FirstNearest(values[i]) == codes[i], $"{values[i]:R} became {codes[i]}");
        }
    }

    [Theory]
    [InlineData(float.PositiveInfinity, 15)]
    [InlineData(1e9f, 15)]
    [InlineData(float.NegativeInfinity, 0)]
    [InlineData(-1e9f, 0)]
    [InlineData(float.NaN, 7)]
    [InlineData(-0f, 7)]
    public void What_lies_outside_has_an_outermost_code_and_NaN_that_of_zero(float value, int code) =>
        Assert.Equal(code, NormalFloat4.Encode(value));

    [Fact]
    public void Spans_decode_as_single_elements_and_ignore_upper_bits()
    {
        byte[] codes = [.. Enumerable.Range(0, 256).Select(code => (byte)code)];
        float[] values = new float[256];
        NormalFloat4.Decode(codes, values);
        Assert.Equal(codes.Select(code => NormalFloat4.Values[code % 16]), values);
    }

    private static int FirstNearest(float value)
    {
        int best = 0;
        for (int code = 1; code < 16; code++)
        {
            float distance = MathF.Abs(value - NormalFloat4.Values[code]);
            if (distance < MathF.Abs(value - NormalFloat4.Values[best]))
            {
                best = code;
            }
        }

        return best;
    }
}
