using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class Float8E5M2Tests() : NumberFormatTests<Float8E5M2>(new SlowDefinition(5, 2, finiteCodes: 0x7C))
{
    [Theory]
    [InlineData(57344f, 0x7B)]
    [InlineData(61439.996f, 0x7B)]
    [InlineData(61440f, 0x7C)]
    [InlineData(-61440f, 0xFC)]
    [InlineData(float.PositiveInfinity, 0x7C)]
    [InlineData(float.NegativeInfinity, 0xFC)]
    public void The_cast_turns_what_is_beyond_half_a_step_into_infinity(float value, int code) =>
        Assert.Equal(code, FloatCodec<Float8E5M2>.Encode(value));

    [Fact]
    public void Its_values_are_those_of_a_half_cut_after_eight_bits()
    {
        for (int code = 0; code < 256; code++)
        {
            float half = (float)BitConverter.UInt16BitsToHalf((ushort)(code << 8));
            Assert.Equal(half, FloatCodec<Float8E5M2>.Decode((byte)code));
        }
    }

    private protected override byte Overflowing(float value) => Define(value, overflow: 0x7C);
}
