using CsCheck;
using TorchAO.Formats.UIntX;
using TorchAO.Numerics.BitPacking;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.UIntX;

public sealed class ShardPackingTests
{
    [Fact]
    public void Six_bits_are_four_and_two_and_the_first_half_of_a_row_lies_below_the_second()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = tensor(new byte[] { 0x30, 0x29, 0x17, 0x05, 0x20, 0x16, 0x09, 0x22 }).view(1, 8);

        Tensor packed = ShardPacking.Pack(codes, 6);

        Assert.Equal(new byte[] { 0, 105, 151, 37, 39, 146 }, packed.bytes.ToArray());
    }

    [Fact]
    public void Eight_bits_are_the_codes_themselves()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = arange(0, 256, dtype: ScalarType.Byte).view(4, 64);

        Assert.Equal(codes.bytes.ToArray(), ShardPacking.Pack(codes, 8).bytes.ToArray());
    }

    [Fact]
    public void Codes_of_any_width_and_shape_come_back_and_lie_as_the_codec_lays_them() => Gen
        .Select(Gen.Int[1, 7], Gen.Int[1, 5], Gen.Int[1, 70])
        .SelectMany((bits, rows, columns) =>
            Gen.Byte[0, (byte)((1 << bits) - 1)].Array[rows * columns].Select(codes => (bits, rows, columns, codes)))
        .Sample(given =>
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor codes = tensor(given.codes).view(given.rows, given.columns);

            Tensor packed = ShardPacking.Pack(codes, given.bits);

            Assert.Equal(given.codes, ShardPacking.Unpack(packed, given.bits, given.columns).bytes.ToArray());
            Assert.Equal(ByCodec(codes, given.bits), packed.bytes.ToArray());
        });

    private static byte[] ByCodec(Tensor codes, int bits)
    {
        int length = (int)ShardPacking.PaddedLength(codes.size(1));
        Tensor padded = nn.functional.pad(codes, [0, length - codes.size(1)]);
        var bytes = new List<byte>();
        for (long row = 0; row < codes.size(0); row++)
        {
            for (int shard = 0; shard < UIntXPacking.ShardWidths(bits).Length; shard++)
            {
                byte[] packed = new byte[UIntXPacking.ShardLength(length, UIntXPacking.ShardWidths(bits)[shard])];
                UIntXPacking.Pack(padded[row].contiguous().bytes, bits, shard, length, packed);
                bytes.AddRange(packed);
            }
        }

        return [.. bytes];
    }
}
