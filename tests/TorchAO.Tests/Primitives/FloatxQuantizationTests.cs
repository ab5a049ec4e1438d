using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class FloatxQuantizationTests
{
    public static TheoryData<int, int> Types => new()
    {
        { 2, 1 }, { 3, 2 }, { 2, 3 }, { 2, 2 }, { 3, 1 }, { 3, 0 }, { 2, 0 }, { 4, 3 }, { 5, 2 }, { 3, 4 }, { 1, 2 },
    };

    [Fact]
    public void Values_of_e2m1_are_those_of_the_specification() =>
        Assert.Equal([0f, 0.5f, 1, 1.5f, 2, 3, 4, 6], new FloatxType(2, 1).Values()[..8]);

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_code_decodes_and_encodes_to_itself(int exponentBits, int mantissaBits)
    {
        using DisposeScope scope = NewDisposeScope();
        var type = new FloatxType(exponentBits, mantissaBits);
        Tensor codes = arange(1 << type.Bits).to_type(ScalarType.Byte);

        Tensor again = FloatxQuantization.Encode(FloatxQuantization.Decode(codes, type), type);

        Assert.Equal(codes.data<byte>().ToArray(), again.data<byte>().ToArray());
    }

    [Theory]
    [InlineData(0.25f, 0)]
    [InlineData(0.75f, 2)]
    [InlineData(1.25f, 2)]
    [InlineData(1.75f, 4)]
    [InlineData(2.5f, 4)]
    [InlineData(3.5f, 6)]
    [InlineData(5f, 6)]
    [InlineData(5.0001f, 7)]
    [InlineData(1e9f, 7)]
    [InlineData(float.PositiveInfinity, 7)]
    [InlineData(-0.25f, 8)]
    [InlineData(-0.2501f, 9)]
    [InlineData(0.2499f, 0)]
    public void Ties_of_e2m1_go_to_the_even_code_and_overflow_saturates(float value, int code)
    {
        using DisposeScope scope = NewDisposeScope();

        Assert.Equal(code, FloatxQuantization.Encode(tensor(new[] { value }), new FloatxType(2, 1)).item<byte>());
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(6, 1)]
    [InlineData(4, 4)]
    [InlineData(3, -1)]
    public void Types_that_no_byte_holds_are_refused(int exponentBits, int mantissaBits) =>
        Assert.Throws<QuantizationException>(() => new FloatxType(exponentBits, mantissaBits));

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public void Packing_for_tensor_cores_is_undone_exactly(int bits)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(bits);
        Tensor codes = randint(0, 1 << bits, [128, 192]).to_type(ScalarType.Byte);

        Tensor packed = FloatxTensorCorePacking.Pack(codes, bits);

        Assert.Equal([128L, 24 * bits], packed.shape);
        Assert.True(FloatxTensorCorePacking.Unpack(packed, bits).equal(codes).all().item<bool>());
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        var type = new FloatxType(3, 2);

        Assert.Throws<QuantizationException>(() => FloatxQuantization.ChooseScale(ones(4), type));
        Assert.Throws<QuantizationException>(() => FloatxQuantization.Quantize(ones(4, 8), ones(3), type));
        Assert.Throws<QuantizationException>(() => FloatxTensorCorePacking.Pack(zeros(64, 96, ScalarType.Byte), 6));
        Assert.Throws<QuantizationException>(() => FloatxTensorCorePacking.Unpack(zeros(64, 50, ScalarType.Byte), 6));
    }
}
