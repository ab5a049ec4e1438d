using CsCheck;
using TorchAO.Formats.Int4;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.Int4;

public sealed class NibblePackingTests
{
    [Fact]
    public void The_even_code_lies_in_the_low_half_and_an_odd_row_ends_in_zero()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = tensor(new byte[] { 1, 2, 3, 4, 5, 15 }).view(2, 3);

        Tensor packed = NibblePacking.Pack(codes);

        Assert.Equal([2, 2], packed.shape);
        Assert.Equal(new byte[] { 0x21, 0x03, 0x54, 0x0F }, packed.data<byte>().ToArray());
    }

    [Fact]
    public void Codes_of_any_shape_come_back() =>
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 40]).SelectMany(
            (rows, columns) => Gen.Byte[0, 15].Array[rows * columns].Select(values => (rows, columns, values))).Sample(given =>
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor codes = tensor(given.values).view(given.rows, given.columns);

            Tensor unpacked = NibblePacking.Unpack(NibblePacking.Pack(codes), given.columns);

            Assert.Equal(codes.shape, unpacked.shape);
            Assert.Equal(given.values, unpacked.contiguous().data<byte>().ToArray());
        });
}
