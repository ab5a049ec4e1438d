using TorchAO.Numerics.BitPacking;
using Xunit;

namespace TorchAO.Numerics.Tests.BitPacking;

public sealed class PackingRoundTripTests
{
    [Theory]
    [InlineData(NibbleOrder.LowFirst, 0x21, 0x03)]
    [InlineData(NibbleOrder.HighFirst, 0x12, 0x30)]
    public void Three_nibbles_lie_where_their_order_says(NibbleOrder order, byte first, byte second)
    {
        byte[] packed = new byte[2];
        Int4Packing.Pack([1, 2, 3], packed, order);
        Assert.Equal([first, second], packed);
    }

    [Theory]
    [InlineData(NibbleOrder.LowFirst)]
    [InlineData(NibbleOrder.HighFirst)]
    public void Nibbles_come_back_for_every_length(NibbleOrder order)
    {
        for (int length = 0; length <= 257; length++)
        {
            byte[] codes = Codes(length, bits: 4);
            byte[] packed = new byte[Int4Packing.PackedLength(length)];
            byte[] back = new byte[length];
            sbyte[] signed = new sbyte[length];
            Int4Packing.Pack(codes, packed, order);
            Int4Packing.Unpack(packed, back, order);
            Int4Packing.UnpackSigned(packed, signed, order);
            Assert.Equal(codes, back);
            Assert.Equal(codes.Select(code => code < 8 ? code : code - 16), signed.Select(code => (int)code));
        }
    }

    [Fact]
    public void Signed_codes_pack_by_their_low_bits()
    {
        byte[] packed = new byte[1];
        Int4Packing.Pack([unchecked((byte)-8), unchecked((byte)-1)], packed);
        Assert.Equal(0xF8, packed[0]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Bit_streams_come_back_for_every_length(int bits)
    {
        for (int length = 0; length <= 257; length++)
        {
            byte[] codes = Codes(length, bits);
            byte[] packed = new byte[BitStreamPacking.PackedLength(length, bits)];
            byte[] back = new byte[length];
            BitStreamPacking.Pack(codes, bits, packed);
            BitStreamPacking.Unpack(packed, bits, back);
            Assert.Equal(codes, back);

            string text = string.Concat(codes.Select(code => Convert.ToString(code, 2).PadLeft(bits, '0')));
            string expected = text.PadRight(8 * packed.Length, '0');
            Assert.Equal(expected, string.Concat(packed.Select(one => Convert.ToString(one, 2).PadLeft(8, '0'))));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public void Shards_come_back_for_every_length_that_packs(int bits)
    {
        for (int rowLength = 8; rowLength <= 264; rowLength += 8)
        {
            byte[] codes = Codes(3 * rowLength, bits);
            byte[] back = new byte[codes.Length];
            int total = 0;
            for (int shard = 0; shard < UIntXPacking.ShardWidths(bits).Length; shard++)
            {
                byte[] packed = new byte[UIntXPacking.ShardLength(codes.Length, UIntXPacking.ShardWidths(bits)[shard])];
                UIntXPacking.Pack(codes, bits, shard, rowLength, packed);
                UIntXPacking.Unpack(packed, bits, shard, rowLength, back);
                total += packed.Length;
            }

            Assert.Equal(codes, back);
            Assert.Equal(codes.Length * bits / 8, total);
        }
    }

    [Fact]
    public void The_shards_of_eight_six_bit_codes_are_those_of_the_documentation()
    {
        byte[] codes = [0x30, 0x29, 0x17, 0x05, 0x20, 0x16, 0x09, 0x22];
        byte[] low = new byte[4];
        byte[] high = new byte[2];
        UIntXPacking.Pack(codes, bits: 6, shard: 0, rowLength: 8, low);
        UIntXPacking.Pack(codes, bits: 6, shard: 1, rowLength: 8, high);
        Assert.Equal([0, 105, 151, 37], low);
        Assert.Equal([39, 146], high);
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        byte[] one = new byte[1];
        byte[] eight = new byte[8];
        Assert.Throws<ArgumentException>(() => Int4Packing.Pack(eight, one));
        Assert.Throws<ArgumentException>(() => Int4Packing.Unpack(one, eight));
        Assert.Throws<ArgumentException>(() => BitStreamPacking.Unpack(one, 3, eight));
        Assert.Throws<ArgumentOutOfRangeException>(() => BitStreamPacking.Pack(eight, 9, eight));
        Assert.Throws<ArgumentException>(() => UIntXPacking.Pack(eight, 3, 0, rowLength: 4, eight));
        Assert.Throws<ArgumentOutOfRangeException>(() => UIntXPacking.Pack(eight, 8, 0, rowLength: 8, eight));
        Assert.Throws<ArgumentOutOfRangeException>(() => UIntXPacking.Pack(eight, 3, 2, rowLength: 8, eight));
    }

    private static byte[] Codes(int count, int bits)
    {
        CounterRandom random = new(seed: (ulong)bits);
        return [.. Enumerable.Range(0, count).Select(i => (byte)(random[(ulong)i] >> (32 - bits)))];
    }
}
