using Xunit;

namespace TorchAO.Numerics.Tests;

/// <summary>What every small floating-point format promises, over all of its codes.</summary>
public abstract class NumberFormatTests<TFormat>
    where TFormat : struct, INumberFormat
{
    private readonly SlowDefinition _definition;

    private protected NumberFormatTests(SlowDefinition definition) => _definition = definition;

    [Fact]
    public void Every_finite_code_has_the_value_of_its_definition()
    {
        for (int code = 0; code < _definition.FiniteCodes; code++)
        {
            float expected = (float)_definition.ValueOf(code);
            Assert.Equal(expected, FloatCodec<TFormat>.Decode((byte)code));
            float negative = FloatCodec<TFormat>.Decode((byte)(code | _definition.SignBit));
            Assert.Equal(-expected, negative);
            Assert.True(float.IsNegative(negative), $"code {code} with its sign");
        }
    }

    [Fact]
    public void Encoding_what_a_code_decodes_to_gives_the_code_back()
    {
        for (int code = 0; code < 1 << FloatCodec<TFormat>.Bits; code++)
        {
            float value = FloatCodec<TFormat>.Decode((byte)code);
            if (float.IsNaN(value))
            {
                float back = FloatCodec<TFormat>.Decode(FloatCodec<TFormat>.Encode(value));
                Assert.True(float.IsNaN(back), $"code {code}");
                Assert.Equal((code & _definition.SignBit) != 0, float.IsNegative(back));
                continue;
            }

            Assert.Equal(code, FloatCodec<TFormat>.Encode(value));
            if (float.IsFinite(value))
            {
                Assert.Equal(code, FloatCodec<TFormat>.EncodeSaturating(value));
            }
        }
    }

    [Fact]
    public void Values_rise_with_their_codes()
    {
        for (int code = 1; code < _definition.FiniteCodes; code++)
        {
            Assert.True(FloatCodec<TFormat>.Decode((byte)(code - 1)) < FloatCodec<TFormat>.Decode((byte)code), $"code {code}");
        }
    }

    [Fact]
    public void A_midpoint_goes_to_the_even_code_and_its_neighbours_to_the_nearer_one()
    {
        for (int code = 0; code < _definition.FiniteCodes - 1; code++)
        {
            float middle = (float)((_definition.ValueOf(code) + _definition.ValueOf(code + 1)) / 2);
            Assert.Equal(code + code % 2, FloatCodec<TFormat>.Encode(middle));
            Assert.Equal(code, FloatCodec<TFormat>.Encode(MathF.BitDecrement(middle)));
            Assert.Equal(code + 1, FloatCodec<TFormat>.Encode(MathF.BitIncrement(middle)));
            Assert.Equal((code + code % 2) | _definition.SignBit, FloatCodec<TFormat>.Encode(-middle));
        }
    }

    [Fact]
    public void Signed_zeros_keep_their_signs()
    {
        Assert.Equal(0, FloatCodec<TFormat>.Encode(0f));
        Assert.Equal(_definition.SignBit, FloatCodec<TFormat>.Encode(-0f));
        Assert.Equal(_definition.SignBit, FloatCodec<TFormat>.Encode(-float.Epsilon));
    }

    [Theory]
    [InlineData(1.0001f)]
    [InlineData(1.1f)]
    [InlineData(2f)]
    [InlineData(1e30f)]
    [InlineData(float.PositiveInfinity)]
    public void Saturation_gives_the_largest_value_of_the_sign(float factor)
    {
        float value = FloatCodec<TFormat>.MaxValue * factor;
        Assert.Equal(FloatCodec<TFormat>.MaxValue, FloatCodec<TFormat>.Decode(FloatCodec<TFormat>.EncodeSaturating(value)));
        Assert.Equal(-FloatCodec<TFormat>.MaxValue, FloatCodec<TFormat>.Decode(FloatCodec<TFormat>.EncodeSaturating(-value)));
    }

    [Fact]
    public void All_bfloat16_and_half_values_encode_as_the_nearest_of_all_codes()
    {
        float[] values = DenseValues();
        byte[] plain = new byte[values.Length];
        byte[] saturating = new byte[values.Length];
        FloatCodec<TFormat>.Encode(values, plain);
        FloatCodec<TFormat>.EncodeSaturating(values, saturating);
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsNaN(values[i]))
            {
                byte expected = _definition.Saturating(values[i]);
                Assert.True(expected == saturating[i], $"{values[i]:R}: {saturating[i]}, expected {expected}");
                byte overflowing = Overflowing(values[i]);
                Assert.True(overflowing == plain[i], $"{values[i]:R}: {plain[i]}, expected {overflowing}");
            }
        }
    }

    [Fact]
    public void Spans_of_every_length_agree_with_single_elements()
    {
        float[] values = DenseValues();
        for (int length = 0; length < 140; length++)
        {
            ReadOnlySpan<float> source = values.AsSpan(length * 900, length);
            byte[] codes = new byte[length];
            byte[] saturating = new byte[length];
            float[] decoded = new float[length];
            FloatCodec<TFormat>.Encode(source, codes);
            FloatCodec<TFormat>.EncodeSaturating(source, saturating);
            FloatCodec<TFormat>.Decode(codes, decoded);
            for (int i = 0; i < length; i++)
            {
                Assert.Equal(FloatCodec<TFormat>.Encode(source[i]), codes[i]);
                Assert.Equal(FloatCodec<TFormat>.EncodeSaturating(source[i]), saturating[i]);
                Assert.Equal(FloatCodec<TFormat>.Decode(codes[i]), decoded[i]);
            }
        }
    }

    [Fact]
    public void Spans_and_single_elements_agree_on_NaN_of_every_kind()
    {
        float[] values = new float[64];
        for (int i = 0; i < values.Length; i++)
        {
            uint payload = (uint)i * 0x1_0435 + 1;
            values[i] = BitConverter.UInt32BitsToSingle(0x7F80_0000 | payload | (i % 2 == 0 ? 0 : 0x8000_0000));
        }

        byte[] codes = new byte[values.Length];
        FloatCodec<TFormat>.Encode(values, codes);
        for (int i = 0; i < values.Length; i++)
        {
            Assert.Equal(FloatCodec<TFormat>.Encode(values[i]), codes[i]);
            Assert.Equal(FloatCodec<TFormat>.HasNaN, float.IsNaN(FloatCodec<TFormat>.Decode(codes[i])));
            Assert.Equal(float.IsNegative(values[i]), (codes[i] & _definition.SignBit) != 0);
        }
    }

    [Fact]
    public void A_short_destination_is_refused()
    {
        Assert.Throws<ArgumentException>(() => FloatCodec<TFormat>.Encode(new float[3], new byte[2]));
        Assert.Throws<ArgumentException>(() => FloatCodec<TFormat>.Decode(new byte[3], new float[2]));
    }

    [Fact]
    public void Stochastic_rounding_leaves_representable_values_alone()
    {
        foreach (uint random in new uint[] { 0, 1, 0x8000_0000, uint.MaxValue })
        {
            for (int code = 0; code < _definition.FiniteCodes; code++)
            {
                Assert.Equal(code, FloatCodec<TFormat>.EncodeStochastic(FloatCodec<TFormat>.Decode((byte)code), random));
            }
        }
    }

    [Fact]
    public void Stochastic_rounding_is_right_on_average()
    {
        const int draws = 20_000;
        const ulong seed = 20240901;
        CounterRandom random = new(seed);
        for (int code = 0; code < _definition.FiniteCodes - 1; code += Math.Max(1, _definition.FiniteCodes / 12))
        {
            double low = _definition.ValueOf(code);
            double step = _definition.ValueOf(code + 1) - low;
            float value = (float)(low + 0.3125 * step);
            double sum = 0;
            for (int i = 0; i < draws; i++)
            {
                float rounded = FloatCodec<TFormat>.Decode(FloatCodec<TFormat>.EncodeStochastic(value, random[(ulong)i]));
                Assert.True(rounded == (float)low || rounded == (float)(low + step), $"{value:R} became {rounded:R}");
                sum += rounded;
            }

            double share = (value - low) / step;
            double sigma = step * Math.Sqrt(share * (1 - share) / draws);
            Assert.True(
                Math.Abs(sum / draws - value) < 5 * sigma,
                $"seed {seed}, code {code}: mean {sum / draws:R} of {value:R}, sigma {sigma:R}");
        }
    }

    [Fact]
    public void Constants_are_those_of_the_codes()
    {
        Assert.Equal(FloatCodec<TFormat>.Bits, 1 + TFormat.ExponentBits + TFormat.MantissaBits);
        Assert.Equal((float)_definition.Largest, FloatCodec<TFormat>.MaxValue);
        Assert.Equal(FloatCodec<TFormat>.MaxExponent, Math.ILogB(FloatCodec<TFormat>.MaxValue));
        Assert.Equal((float)_definition.ValueOf(1), FloatCodec<TFormat>.MinSubnormal);
        Assert.Equal((float)_definition.ValueOf(1 << TFormat.MantissaBits), FloatCodec<TFormat>.MinNormal);
        float[] all = [.. Enumerable.Range(0, 1 << FloatCodec<TFormat>.Bits).Select(code => FloatCodec<TFormat>.Decode((byte)code))];
        Assert.Equal(FloatCodec<TFormat>.HasInfinity, all.Any(float.IsInfinity));
        Assert.Equal(FloatCodec<TFormat>.HasNaN, all.Any(float.IsNaN));
    }

    /// <summary>What the format's own cast makes of a number that may be too large.</summary>
    private protected abstract byte Overflowing(float value);

    private protected byte Define(float value, int overflow) => _definition.Overflowing(value, overflow);

    private protected byte DefineSaturating(float value) => _definition.Saturating(value);

    private static float[] DenseValues()
    {
        IEnumerable<float> brain =
            Enumerable.Range(0, 1 << 16).Select(i => BitConverter.UInt32BitsToSingle((uint)i << 16));
        IEnumerable<float> half =
            Enumerable.Range(0, 1 << 16).Select(i => (float)BitConverter.UInt16BitsToHalf((ushort)i));
        return [.. brain, .. half];
    }
}
