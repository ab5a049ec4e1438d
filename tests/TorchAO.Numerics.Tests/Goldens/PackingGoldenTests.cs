using System.Security.Cryptography;
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

    [Theory]
    [InlineData("B/fpx_e3m2_codes/bf16", 6)]
    [InlineData("B/fpx_e2m2_codes/bf16", 5)]
    [InlineData("B/fpx_e2m3_codes/bf16", 6)]
    [InlineData("B/fpx_e3m1_codes/bf16", 5)]
    public void Tensor_core_tiles_of_several_tiles_of_rows_are_those_of_torchao(string id, int bits)
    {
        GoldenFile area = new("B");
        byte[] expected = area.Bytes(GoldenFile.Key(id, "outputs", "w_packed.packed_floatx_data"));
        byte[] packed = new byte[expected.Length];
        TensorCorePacking.Pack(area.Bytes(GoldenFile.Key(id, "outputs", "w_q")), 256, 64, bits, packed);
        Assert.Equal(expected, packed);
    }

    [Theory]
    [InlineData(3, "4a3d9a706a8cc9bba466f951f1a6cdeb", "09d617083b32fcb1")]
    [InlineData(4, "5830835a4c84e9b6f209ef5dddc38b8f", "f585365019078760")]
    [InlineData(5, "4a3d9a706a8cc9bba466f951f1a6cdeb", "f4f0e0d899534296")]
    [InlineData(6, "610e826b7c94e49fc82dfe76facda1b9", "2fea81a91cd9d657")]
    [InlineData(7, "4a3d9a706a8cc9bba466f951f1a6cdeb", "66457d06fae26f6b")]
    public void Tensor_core_tiles_of_every_width_have_the_digests_of_torchao(int bits, string first, string digest)
    {
        byte[] codes = new byte[64 * 128];
        uint state = 1;
        for (int i = 0; i < codes.Length; i++)
        {
            state = unchecked(1664525 * state + 1013904223);
            codes[i] = (byte)(state >> (32 - bits));
        }

        byte[] packed = new byte[TensorCorePacking.PackedLength(64, 128, bits)];
        byte[] back = new byte[codes.Length];
        TensorCorePacking.Pack(codes, 64, 128, bits, packed);
        TensorCorePacking.Unpack(packed, 64, 128, bits, back);
        Assert.Equal(first, Convert.ToHexStringLower(packed.AsSpan(0, 16)));
        Assert.Equal(digest, Convert.ToHexStringLower(SHA256.HashData(packed))[..16]);
        Assert.Equal(codes, back);
    }

    [Theory]
    [InlineData(64, 64, 2)]
    [InlineData(64, 64, 8)]
    [InlineData(32, 64, 6)]
    [InlineData(64, 96, 6)]
    public void A_matrix_that_does_not_tile_is_refused(int rows, int columns, int bits) =>
        Assert.ThrowsAny<ArgumentException>(() => TensorCorePacking.PackedLength(rows, columns, bits));
}
