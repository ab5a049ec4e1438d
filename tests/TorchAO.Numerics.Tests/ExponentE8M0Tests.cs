using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class ExponentE8M0Tests
{
    [Fact]
    public void Every_code_is_its_power_of_two()
    {
        byte[] codes = [.. Enumerable.Range(0, 256).Select(code => (byte)code)];
        float[] values = new float[256];
        ExponentE8M0.Decode(codes, values);
        for (int code = 0; code < 255; code++)
        {
            Assert.Equal((float)Math.Pow(2, code - 127), values[code]);
            Assert.Equal(values[code], ExponentE8M0.Decode((byte)code));
            Assert.Equal(code, ExponentE8M0.FromExponent(code - 127));
        }

        Assert.True(float.IsNaN(values[255]));
    }

    [Theory]
    [InlineData(-128, 0)]
    [InlineData(-1000, 0)]
    [InlineData(128, 254)]
    [InlineData(1000, 254)]
    public void Exponents_without_a_code_are_clamped(int exponent, int code) =>
        Assert.Equal(code, ExponentE8M0.FromExponent(exponent));

    [Fact]
    public void Every_rule_gives_the_exponent_of_its_definition()
    {
        const ulong seed = 3;
        CounterRandom random = new(seed);
        for (ulong i = 0; i < 20_000; i++)
        {
            float maximum = BitConverter.UInt32BitsToSingle(random[i] & 0x7FFF_FFFF);
            if (float.IsFinite(maximum) && maximum > 0)
            {
                Check<Float8E4M3>(maximum);
                Check<Float8E5M2>(maximum);
                Check<Float6E3M2>(maximum);
                Check<Float6E2M3>(maximum);
                Check<Float4E2M1>(maximum);
            }
        }
    }

    [Fact]
    public void Powers_of_two_and_their_neighbours_are_told_apart()
    {
        for (int exponent = -100; exponent <= 100; exponent++)
        {
            float power = MathF.ScaleB(1, exponent);
            Check<Float4E2M1>(power);
            Check<Float4E2M1>(MathF.BitIncrement(power));
            Check<Float4E2M1>(MathF.BitDecrement(power));
            Check<Float8E4M3>(448 * power);
            Check<Float8E4M3>(MathF.BitIncrement(448 * power));
        }
    }

    [Theory]
    [InlineData(ScaleRounding.Floor)]
    [InlineData(ScaleRounding.Ceiling)]
    [InlineData(ScaleRounding.Even)]
    [InlineData(ScaleRounding.RoundUp)]
    public void What_is_no_number_or_nothing_has_the_outermost_codes(ScaleRounding rounding)
    {
        Assert.Equal(255, ExponentE8M0.FromBlockMaximum<Float4E2M1>(float.NaN, rounding));
        Assert.Equal(254, ExponentE8M0.FromBlockMaximum<Float4E2M1>(float.PositiveInfinity, rounding));
        Assert.Equal(254, ExponentE8M0.FromBlockMaximum<Float4E2M1>(float.NegativeInfinity, rounding));
        Assert.Equal(0, ExponentE8M0.FromBlockMaximum<Float4E2M1>(0, rounding));
        Assert.Equal(0, ExponentE8M0.FromBlockMaximum<Float4E2M1>(1e-40f, rounding));
    }

    [Fact]
    public void A_mantissa_that_rounds_over_the_largest_exponent_is_clamped() =>
        Assert.Equal(254, ExponentE8M0.FromBlockMaximum<Float4E2M1>(3e38f, ScaleRounding.Even));

    [Fact]
    public void An_unknown_rule_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(
            () => ExponentE8M0.FromBlockMaximum<Float4E2M1>(1, (ScaleRounding)9));

    private static void Check<TElement>(float maximum)
        where TElement : struct, INumberFormat
    {
        int floor = -200;
        while (Math.Pow(2, floor + 1) <= maximum)
        {
            floor++;
        }

        int ceiling = Math.Pow(2, floor) == maximum ? floor : floor + 1;
        double half = Math.Pow(2, -TElement.MantissaBits - 1);
        int even = maximum / Math.Pow(2, floor) + half >= 2 ? floor + 1 : floor;
        int smallest = -200;
        while (FloatCodec<TElement>.MaxValue * Math.Pow(2, smallest) < maximum)
        {
            smallest++;
        }

        Equal(floor - FloatCodec<TElement>.MaxExponent, ScaleRounding.Floor);
        Equal(ceiling - FloatCodec<TElement>.MaxExponent, ScaleRounding.Ceiling);
        Equal(smallest, ScaleRounding.RoundUp);

        // Subnormal maxima have fewer mantissa bits to round; their scale is the smallest by far.
        if (maximum >= 1.17549435E-38f && even < 128)
        {
            Equal(even - FloatCodec<TElement>.MaxExponent, ScaleRounding.Even);
        }

        void Equal(int exponent, ScaleRounding rounding)
        {
            int code = Math.Clamp(exponent, -127, 127) + 127;
            byte got = ExponentE8M0.FromBlockMaximum<TElement>(maximum, rounding);
            Assert.True(code == got, $"{typeof(TElement).Name}, {rounding}, {maximum:R}: {got}, expected {code}");
        }
    }
}
