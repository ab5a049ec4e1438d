using TorchAO.Formats.UIntX;
using TorchAO.Formats.UIntX.Kernels;
using TorchAO.Tests.Kernels;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Formats.UIntX.Kernels;

/// <summary>Every path over every remainder of an eighth of a row.</summary>
public sealed unsafe class ShardDecodeTests
{
    public static TheoryData<int> AllBits => [1, 2, 3, 4, 5, 6, 7, 8];

    [Theory]
    [MemberData(nameof(AllBits))]
    public void All_paths_give_the_codes_that_were_packed(int bits)
    {
        // Eighths from 1 to 140 bytes: below, at and above one and two vectors, with every remainder.
        for (int length = 8; length <= 8 * 140; length += 8)
        {
            using DisposeScope scope = NewDisposeScope();
            var random = new Random((1000 * bits) + length);
            byte[] codes = [.. Enumerable.Range(0, length).Select(_ => (byte)random.Next(1 << bits))];
            byte[] packed = ShardPacking.Pack(tensor(codes).view(1, length), bits).bytes.ToArray();
            sbyte[] expected = [.. codes.Select(code => (sbyte)(code - (1 << (bits - 1))))];

            Assert.Equal(expected, Decode(ShardDecode.Scalar, packed, bits, length));
            Assert.Equal(expected, Decode(ShardDecode.Wide256, packed, bits, length));
            Assert.Equal(expected, Decode(ShardDecode.Wide512, packed, bits, length));
            Assert.Equal(expected, Decode(ShardDecode.Best, packed, bits, length));
        }
    }

    [Theory]
    [MemberData(nameof(AllBits))]
    public void Any_part_of_a_row_is_decoded_and_nothing_is_read_behind_the_row(int bits)
    {
        var random = new Random(bits);
        foreach (int length in new[] { 8, 64, 288, 512, 1376, 2048 })
        {
            byte[] codes = [.. Enumerable.Range(0, length).Select(_ => (byte)random.Next(1 << bits))];
            using Tensor row = tensor(codes);
            using Tensor rows = row.view(1, length);
            using Tensor packed = ShardPacking.Pack(rows, bits);
            using var guarded = new GuardedOperands(packed.bytes.ToArray());
            foreach ((int begin, int count) in new[] { (0, length), (0, 1), (length - 1, 1), (length / 3, length / 2), (length / 2, Math.Min(256, length / 2)) })
            {
                sbyte[] part = new sbyte[count];
                fixed (sbyte* to = part)
                {
                    ShardDecode.Part((byte*)guarded[0], bits, length, begin, count, to);
                }

                Assert.Equal(codes.Skip(begin).Take(count).Select(code => (sbyte)(code - (1 << (bits - 1)))), part);
            }
        }
    }

    // The bytes around the destination are watched.
    private static sbyte[] Decode(Path path, byte[] packed, int bits, int length)
    {
        const sbyte Guard = 0x5A;
        sbyte[] room = new sbyte[length + 2];
        Array.Fill(room, Guard);
        fixed (byte* from = packed)
        fixed (sbyte* to = room)
        {
            path(from, bits, length, to + 1);
        }

        Assert.Equal(Guard, room[0]);
        Assert.Equal(Guard, room[^1]);
        return room[1..^1];
    }

    private delegate void Path(byte* packed, int bits, int length, sbyte* codes);
}
