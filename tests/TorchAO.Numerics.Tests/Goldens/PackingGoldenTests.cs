using TorchAO.Numerics.BitPacking;
using Xunit;

namespace TorchAO.Numerics.Tests.Goldens;

/// <summary>The packings against the bytes of torchao.</summary>
public sealed class PackingGoldenTests
{
    private static readonly GoldenFile AreaI = new("I");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public void Shards_along_both_dimensions_are_those_of_torchao(int bits)
    {
        foreach (int dimension in new[] { -1, 0 })
        {
            string id = $"I/bitpacking/uint{bits}_dim{dimension}";
            string key = GoldenFile.Key(id, "inputs", "x");
            byte[] codes = AreaI.Bytes(key);
            int rowLength = dimension == 0 ? codes.Length : AreaI.Shape(key)[1];
            byte[] back = new byte[codes.Length];
            for (int shard = 0; shard < UIntXPacking.ShardWidths(bits).Length; shard++)
            {
                byte[] expected = AreaI.Bytes(GoldenFile.Key(id, "outputs", $"shard{shard}"));
                byte[] packed = new byte[expected.Length];
                UIntXPacking.Pack(codes, bits, shard, rowLength, packed);
                Assert.Equal(expected, packed);
                UIntXPacking.Unpack(expected, bits, shard, rowLength, back);
            }

            Assert.Equal(codes, back);
        }
    }

    [Theory]
    [InlineData("I/uintgen/pack_uint2", 2)]
    [InlineData("I/uintgen/pack_uint3", 3)]
    [InlineData("I/uintgen/pack_uint4", 4)]
    [InlineData("I/uintgen/pack_uint5", 5)]
    [InlineData("I/uintgen/pack_uint6", 6)]
    [InlineData("I/uintgen/pack_uint7", 7)]
    [InlineData("I/uint2/pack", 2)]
    [InlineData("I/uint4/pack", 4)]
    public void Bit_streams_are_those_of_torchao(string id, int bits)
    {
        byte[] codes = AreaI.Bytes(GoldenFile.Key(id, "inputs", "x"));
        byte[] expected = AreaI.Bytes(GoldenFile.Key(id, "outputs", "packed"));
        byte[] packed = new byte[expected.Length];
        byte[] back = new byte[codes.Length];
        BitStreamPacking.Pack(codes, bits, packed);
        BitStreamPacking.Unpack(expected, bits, back);
        Assert.Equal(expected, packed);
        Assert.Equal(codes, back);
    }

    [Fact]
    public void Nibbles_with_the_high_one_first_are_those_of_uint4_tensors()
    {
        byte[] packed = new byte[8 * 16];
        Int4Packing.Pack(AreaI.Bytes(GoldenFile.Key("I/uint4/pack", "inputs", "x")), packed, NibbleOrder.HighFirst);
        Assert.Equal(AreaI.Bytes(GoldenFile.Key("I/uint4/pack", "outputs", "packed")), packed);
    }

    [Theory]
    [InlineData("f32/e3m2", 6)]
    [InlineData("f32/e2m3", 6)]
    [InlineData("f32/e2m1", 4)]
    [InlineData("f32/e2m2", 5)]
    [InlineData("f32/e3m1", 5)]
    [InlineData("f32/e4m2", 7)]
    [InlineData("bf16/e3m2", 6)]
    [InlineData("bf16/e2m2", 5)]
    public void Tensor_core_tiles_are_those_of_torchao(string name, int bits)
    {
        GoldenFile area = new("A");
        string key = GoldenFile.Key($"A/floatx/{name}", "outputs", "q_unpacked");
        byte[] codes = area.Bytes(key);
        int[] shape = area.Shape(key);
        byte[] expected = area.Bytes(GoldenFile.Key($"A/floatx/{name}", "outputs", "packed_tc"));
        byte[] packed = new byte[TensorCorePacking.PackedLength(shape[0], shape[1], bits)];
        byte[] back = new byte[codes.Length];
        TensorCorePacking.Pack(codes, shape[0], shape[1], bits, packed);
        TensorCorePacking.Unpack(packed, shape[0], shape[1], bits, back);
        Assert.Equal(expected, packed);
        Assert.Equal(codes, back);
    }
}
