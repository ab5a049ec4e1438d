using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class FloatXTests
{
    public static TheoryData<int, int> Formats
    {
        get
        {
            TheoryData<int, int> formats = [];
            for (int exponentBits = 1; exponentBits <= 7; exponentBits++)
            {
                for (int mantissaBits = 0; exponentBits + mantissaBits <= 7; mantissaBits++)
                {
                    if (exponentBits + mantissaBits >= 2)
                    {
                        formats.Add(exponentBits, mantissaBits);
                    }
                }
            }

            return formats;
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Every_code_comes_back_from_its_value(int exponentBits, int mantissaBits)
    {
        FloatX format = new(exponentBits, mantissaBits);
        SlowDefinition definition = Define(format);
        for (int code = 0; code < 1 << format.Bits; code++)
        {
            double magnitude = definition.ValueOf(code & (definition.SignBit - 1));
            Assert.Equal((float)magnitude, MathF.Abs(format.Decode((byte)code)));
            Assert.Equal(code, format.Encode(format.Decode((byte)code)));
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Midpoints_go_to_the_even_code_and_their_neighbours_to_the_nearer(int exponentBits, int mantissaBits)
    {
        FloatX format = new(exponentBits, mantissaBits);
        for (int code = 0; code < (1 << (format.Bits - 1)) - 1; code++)
        {
            double low = format.Decode((byte)code);
            float middle = (float)((low + format.Decode((byte)(code + 1))) / 2);
            Assert.Equal(code + code % 2, format.Encode(middle));
            Assert.Equal(code, format.Encode(MathF.BitDecrement(middle)));
            Assert.Equal(code + 1, format.Encode(MathF.BitIncrement(middle)));
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Values_of_every_size_encode_as_the_nearest_of_all_codes(int exponentBits, int mantissaBits)
    {
        FloatX format = new(exponentBits, mantissaBits);
        SlowDefinition definition = Define(format);
        const ulong seed = 17;
        CounterRandom random = new(seed);
        float[] values = new float[4096];
        for (int i = 0; i < values.Length; i++)
        {
            int exponent = (int)(random[(ulong)(2 * i)] % 80) - 40;
            values[i] = float.ScaleB((int)random[(ulong)(2 * i + 1)] / 2147483648f, exponent);
        }

        byte[] codes = new byte[values.Length];
        format.Encode(values, codes);
        for (int i = 0; i < values.Length; i++)
        {
            byte expected = definition.Saturating(values[i]);
            Assert.True(expected == codes[i], $"seed {seed}: {values[i]:R} became {codes[i]}, expected {expected}");
            Assert.Equal(codes[i], format.Encode(values[i]));
        }
    }

    [Theory]
    [InlineData(3, 2)]
    [InlineData(2, 3)]
    [InlineData(2, 1)]
    public void It_agrees_with_the_formats_that_have_a_name(int exponentBits, int mantissaBits)
    {
        FloatX format = new(exponentBits, mantissaBits);
        Func<float, byte> named = (exponentBits, mantissaBits) switch
        {
            (3, 2) => FloatCodec<Float6E3M2>.Encode,
            (2, 3) => FloatCodec<Float6E2M3>.Encode,
            _ => FloatCodec<Float4E2M1>.Encode,
        };
        for (int i = 0; i < 1 << 16; i++)
        {
            float value = BitConverter.UInt32BitsToSingle((uint)i << 16);
            Assert.Equal(named(value), format.Encode(value));
        }
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(0, 3)]
    [InlineData(4, 4)]
    [InlineData(3, -1)]
    public void A_width_that_does_not_fit_is_refused(int exponentBits, int mantissaBits) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new FloatX(exponentBits, mantissaBits));

    private static SlowDefinition Define(FloatX format) =>
        new(format.ExponentBits, format.MantissaBits, finiteCodes: 1 << (format.Bits - 1));
}
