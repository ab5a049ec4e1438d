using Xunit;

namespace TorchAO.Numerics.Tests;

public sealed class Float8E4M3Tests() : NumberFormatTests<Float8E4M3>(new SlowDefinition(4, 3, finiteCodes: 0x7F))
{
    [Theory]
    [InlineData(448f, 0x7E)]
    [InlineData(464f, 0x7E)]
    [InlineData(464.00003f, 0x7F)]
    [InlineData(-464f, 0xFE)]
    [InlineData(-465f, 0xFF)]
    [InlineData(float.PositiveInfinity, 0x7F)]
    [InlineData(float.NegativeInfinity, 0xFF)]
    public void The_cast_turns_what_is_beyond_half_a_step_into_NaN(float value, int code) =>
        Assert.Equal(code, FloatCodec<Float8E4M3>.Encode(value));

    [Fact]
    public void NaN_stays_NaN_when_saturating() =>
        Assert.True(float.IsNaN(FloatCodec<Float8E4M3>.Decode(FloatCodec<Float8E4M3>.EncodeSaturating(float.NaN))));

    private protected override byte Overflowing(float value) => Define(value, overflow: 0x7F);
}
