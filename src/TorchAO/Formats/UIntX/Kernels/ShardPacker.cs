using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Primitives.Kernels;

namespace TorchAO.Formats.UIntX.Kernels;

/// <summary>Packs a row of codes as <see cref="ShardPacking"/> orders them.</summary>
/// <param name="k">Codes of a row, a multiple of <see cref="ShardPacking.RowMultiple"/>.</param>
/// <param name="bits">Bits of a code, 1 to 8.</param>
internal readonly unsafe struct ShardPacker(long k, int bits) : IRowPacker
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Pack(byte* codes, byte* packed)
    {
        int firstBit = 0;
        foreach (int width in ShardPacking.Widths(bits))
        {
            PackShard(codes, packed, k * width / 8, firstBit, width);
            packed += k * width / 8;
            firstBit += width;
        }
    }

    // Byte i of a shard has the fields of codes i, i + slice, i + 2 · slice …, the first in its low bits.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackShard(byte* codes, byte* shard, long slice, int firstBit, int width)
    {
        int fields = 8 / width;
        var mask = Vector512.Create((byte)((1 << width) - 1));
        long i = 0;
        for (; i + 64 <= slice; i += 64)
        {
            Vector512<byte> bytes = Vector512<byte>.Zero;
            for (int j = 0; j < fields; j++)
            {
                bytes |= ((Vector512.Load(codes + (j * slice) + i) >>> firstBit) & mask) << (j * width);
            }

            bytes.Store(shard + i);
        }

        for (; i < slice; i++)
        {
            int bytes = 0;
            for (int j = 0; j < fields; j++)
            {
                bytes |= ((codes[(j * slice) + i] >> firstBit) & ((1 << width) - 1)) << (j * width);
            }

            shard[i] = (byte)bytes;
        }
    }
}
