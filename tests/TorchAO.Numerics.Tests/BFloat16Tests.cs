using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class BFloat16Tests
{
    [Fact]
    public void All_65536_codes_come_back_from_their_values()
    {
        for (int code = 0; code < 1 << 16; code++)
        {
            float value = BFloat16.Decode((ushort)code);
            Assert.Equal((uint)code << 16, BitConverter.SingleToUInt32Bits(value));
            int expected = float.IsNaN(value) ? code | 0x40 : code;
            Assert.Equal(expected, BFloat16.Encode(value));
        }
    }

    [Fact]
    public void Midpoints_of_all_neighbours_go_to_the_even_code()
    {
        for (int code = 0; code < 0x7F80; code++)
        {
            uint middle = ((uint)code << 16) | 0x8000;
            Assert.Equal(code + code % 2, BFloat16.Encode(BitConverter.UInt32BitsToSingle(middle)));
            Assert.Equal(code, BFloat16.Encode(BitConverter.UInt32BitsToSingle(middle - 1)));
            Assert.Equal(code + 1, BFloat16.Encode(BitConverter.UInt32BitsToSingle(middle + 1)));
            Assert.Equal(
                0x8000 | (code + code % 2), BFloat16.Encode(BitConverter.UInt32BitsToSingle(middle | 0x8000_0000)));
        }
    }

    [Fact]
    public void A_NaN_whose_payload_lies_in_the_dropped_bits_stays_NaN()
    {
        ushort code = BFloat16.Encode(BitConverter.UInt32BitsToSingle(0xFF80_0001));
        Assert.True(float.IsNaN(BFloat16.Decode(code)));
        Assert.Equal(0x8000, code & 0x8000);
    }

    [Fact]
    public void Values_beyond_the_largest_become_infinity()
    {
        Assert.Equal(0x7F80, BFloat16.Encode(float.MaxValue));
        Assert.Equal(0xFF80, BFloat16.Encode(float.MinValue));
        Assert.Equal(0x7F7F, BFloat16.Encode(BFloat16.MaxValue));
    }

    [Fact]
    public void Spans_of_every_length_agree_with_single_elements()
    {
        const ulong seed = 5;
        CounterRandom random = new(seed);
        for (int length = 0; length <= 257; length++)
        {
            float[] values = new float[length];
            for (int i = 0; i < length; i++)
            {
                values[i] = BitConverter.UInt32BitsToSingle(random[(ulong)(1000 * length + i)]);
            }

            ushort[] codes = new ushort[length];
            float[] decoded = new float[length];
            BFloat16.Encode(values, codes);
            BFloat16.Decode(codes, decoded);
            for (int i = 0; i < length; i++)
            {
                Assert.Equal(BFloat16.Encode(values[i]), codes[i]);
                Assert.Equal(BFloat16.Decode(codes[i]), decoded[i]);
            }
        }
    }

    [Fact]
    public void Stochastic_rounding_leaves_representable_values_alone()
    {
        for (int code = 0; code <= 0x7F80; code++)
        {
            Assert.Equal(code, BFloat16.EncodeStochastic(BFloat16.Decode((ushort)code), uint.MaxValue));
        }
    }

    [Fact]
    public void Stochastic_rounding_is_right_on_average()
    {
        const int draws = 100_000;
        const ulong seed = 99;
        CounterRandom random = new(seed);
        foreach (float value in new[] { 1.0015f, -3.1415927f, 1e-20f, 12345.678f })
        {
            float near = BFloat16.Decode((ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
            float far = BFloat16.Decode((ushort)((BitConverter.SingleToUInt32Bits(value) >> 16) + 1));
            double sum = 0;
            for (int i = 0; i < draws; i++)
            {
                sum += BFloat16.Decode(BFloat16.EncodeStochastic(value, random[(ulong)i]));
            }

            double step = Math.Abs((double)far - near);
            double share = Math.Abs((double)value - near) / step;
            double sigma = step * Math.Sqrt(share * (1 - share) / draws);
            Assert.True(Math.Abs(sum / draws - value) < 5 * sigma, $"seed {seed}: {value:R} became {sum / draws:R}");
        }
    }
}
