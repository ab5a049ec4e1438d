using TorchAO.Formats.UIntX.Kernels;
using TorchAO.Numerics.BitPacking;
using TorchAO.Primitives.Kernels;
using static TorchSharp.torch;

namespace TorchAO.Formats.UIntX;

/// <summary>Rows of codes of 1 to 8 bits in shards, one shard of a row after the other; on any device.</summary>
/// <remarks>
/// Each shard is that of <see cref="UIntXPacking"/>, so of torchao's <c>UintxTensor</c> with <c>pack_dim = -1</c>; torchao keeps
/// the shards in tensors of their own. Codes of 8 bits are one shard of whole bytes.
/// </remarks>
internal static class ShardPacking
{
    /// <summary>A row is padded with codes of 0 to a multiple of this.</summary>
    public const int RowMultiple = 8;

    private static readonly int[] WholeBytes = [8];

    /// <summary>Gets the widths of the shards of a code, in the order stored; the first holds the lowest bits.</summary>
    public static ReadOnlySpan<int> Widths(int bits) => bits == 8 ? WholeBytes : UIntXPacking.ShardWidths(bits);

    /// <summary>Gets the codes in a row with its padding.</summary>
    public static long PaddedLength(long k) => (k + RowMultiple - 1) / RowMultiple * RowMultiple;

    /// <summary>Gets the bytes of a row.</summary>
    public static long RowBytes(long k, int bits) => PaddedLength(k) / 8 * bits;

    /// <summary>Packs codes.</summary>
    /// <param name="codes">Codes, uint8 <c>[N, K]</c>.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <returns>Bytes <c>[N, ⌈K / 8⌉ · bits]</c>. The caller disposes them.</returns>
    public static Tensor Pack(Tensor codes, int bits)
    {
        long k = codes.size(1);
        return RowPacking.Covers(codes) && k % RowMultiple == 0
            ? RowPacking.Run(codes, RowBytes(k, bits), new ShardPacker(k, bits))
            : ByTensors(codes, bits);
    }

    /// <summary>The reference: the same by tensor arithmetic, for rows of any length, on any device.</summary>
    internal static Tensor ByTensors(Tensor codes, int bits)
    {
        long k = codes.size(1);
        return RowBlocks.Compute(codes.size(0), k, (start, count) =>
        {
            using var scope = NewDisposeScope();
            Tensor rows = codes.narrow(0, start, count);
            Tensor padded = nn.functional.pad(rows, [0, PaddedLength(k) - k]);
            var shards = new List<Tensor>();
            int firstBit = 0;
            foreach (int width in Widths(bits))
            {
                shards.Add(PackShard(padded, firstBit, width));
                firstBit += width;
            }

            return cat(shards, dim: 1).MoveToOuterDisposeScope();
        });
    }

    /// <summary>Unpacks codes.</summary>
    /// <param name="packed">Bytes as <see cref="Pack"/> makes them.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="k">K, the count of codes in a row.</param>
    /// <returns>Codes, uint8 <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor Unpack(Tensor packed, int bits, long k)
    {
        using var scope = NewDisposeScope();
        long eighth = PaddedLength(k) / 8;
        Tensor codes = zeros([packed.size(0), 8 * eighth], dtype: ScalarType.Byte, device: packed.device);
        long start = 0;
        int firstBit = 0;
        foreach (int width in Widths(bits))
        {
            Tensor shard = packed.narrow(1, start, eighth * width);
            Tensor[] slices = [.. Enumerable.Range(0, 8 / width).Select(j => Field(shard, j * width, width))];
            codes.bitwise_or_(cat(slices, dim: 1).mul_(1 << firstBit));
            start += eighth * width;
            firstBit += width;
        }

        return (codes.size(1) == k ? codes : codes.narrow(1, 0, k).contiguous()).MoveToOuterDisposeScope();
    }

    private static Tensor PackShard(Tensor codes, int firstBit, int width)
    {
        Tensor field = Field(codes, firstBit, width);
        long slice = codes.size(1) * width / 8;
        Tensor shard = field.narrow(1, 0, slice).contiguous();
        for (int j = 1; j < 8 / width; j++)
        {
            shard.bitwise_or_(field.narrow(1, j * slice, slice) * (1 << (j * width)));
        }

        return shard;
    }

    private static Tensor Field(Tensor bytes, int firstBit, int width) => bytes
        .bitwise_right_shift(tensor((byte)firstBit, device: bytes.device))
        .bitwise_and(tensor((byte)((1 << width) - 1), device: bytes.device));
}
