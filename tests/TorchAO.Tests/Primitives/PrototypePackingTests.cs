using TorchAO.Primitives;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Primitives;

public sealed class PrototypePackingTests
{
    [Fact]
    public void Two_rows_share_a_byte_the_first_in_the_low_half()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = tensor(new byte[] { 1, 2, 3, 4, 5, 6, 15, 0, 9, 8, 7, 15 }).reshape(4, 3);

        Tensor packed = RowPairPacking.Pack(codes);

        Assert.Equal([2, 3], packed.shape);
        Assert.Equal([0x41, 0x52, 0x63, 0x8F, 0x70, 0xF9], packed.data<byte>().ToArray());
        Assert.Equal(codes.data<byte>().ToArray(), RowPairPacking.Unpack(packed).data<byte>().ToArray());
    }

    [Fact]
    public void Turned_codes_pack_and_come_back()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = randint(0, 16, [33, 64], ScalarType.Byte, generator: new Generator(3, CPU));

        Tensor back = RowPairPacking.Unpack(RowPairPacking.Pack(weight.t()));

        Assert.True(back.t().eq(weight).all().item<bool>());
    }

    [Fact]
    public void Three_values_are_two_bits_the_first_highest()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values = tensor(new[] { -0.5f, 0, 3, -7, 1e-30f, -0.0f }).reshape(1, 6);

        Tensor signs = TernaryQuantization.Signs(values);
        Tensor packed = TernaryPacking.Pack(signs);

        Assert.Equal([-1, 0, 1, -1, 1, 0], signs.data<sbyte>().ToArray());
        Assert.Equal([0b00_01_10_00, 0b10_01_00_00], packed.data<byte>().ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(65)]
    public void Ternary_codes_come_back_for_every_length(long columns)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = TernaryQuantization.Signs(randn([5, columns], generator: new Generator(4, CPU)));

        Tensor back = TernaryPacking.Unpack(TernaryPacking.Pack(codes), columns);

        Assert.Equal(ScalarType.Int8, back.dtype);
        Assert.True(back.eq(codes).all().item<bool>());
    }

    [Fact]
    public void What_does_not_fit_is_an_error_that_says_why()
    {
        using DisposeScope scope = NewDisposeScope();

        AssertRefuses("[3, 2]", () => RowPairPacking.Pack(zeros([3, 2], ScalarType.Byte)));
        AssertRefuses("greatest code is 16", () => RowPairPacking.Pack(full([2, 2], 16, ScalarType.Byte)));
        AssertRefuses("Float32", () => RowPairPacking.Unpack(zeros(2, 2)));
        AssertRefuses("Float32", () => TernaryPacking.Pack(zeros(2, 2)));
        AssertRefuses("4 of 4 codes", () => TernaryPacking.Pack(full([2, 2], -128, ScalarType.Int8)));
        AssertRefuses("[N, 2] for 5 codes", () => TernaryPacking.Unpack(zeros([2, 1], ScalarType.Byte), 5));
        AssertRefuses("1 of 4 codes are 3", () => TernaryPacking.Unpack(full([1, 1], 0b00_11_00_01, ScalarType.Byte), 4));
    }

    private static void AssertRefuses(string part, Func<Tensor> call) =>
        Assert.Contains(part, Assert.Throws<QuantizationException>(call).Message, StringComparison.Ordinal);
}
