namespace TorchAO.Numerics.BitPacking;

/// <summary>
/// Codes of one to seven bits in shards of four, two and one bit, as torchao's UintxTensor stores them: a three-bit code is
/// two bits in the first shard and one in the second, low bits first. Within a shard of b bits a row is cut into 8/b equal
/// slices that lie above each other: byte i holds element i of each slice, slice j in the bits from j·b on.
/// </summary>
/// <remarks>
/// A tensor packed along another dimension is the same thing: [outer, length, inner] packs as rows of length·inner,
/// as long as length is a multiple of eight.
/// </remarks>
public static class UIntXPacking
{
    private static readonly int[][] Widths = [[1], [2], [2, 1], [4], [4, 1], [4, 2], [4, 2, 1]];

    /// <summary>Widths of the shards of a code, in the order stored; the first holds the lowest bits.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not one to seven bits.</exception>
    public static ReadOnlySpan<int> ShardWidths(int bits)
    {
        PackedSource.RequireBits(bits, 7);
        return Widths[bits - 1];
    }

    /// <summary>Bytes of the shard of a width over <paramref name="count"/> codes.</summary>
    public static int ShardLength(int count, int width) => count * width / 8;

    /// <summary>Packs the bits of one shard.</summary>
    /// <param name="codes">Rows of <paramref name="rowLength"/> codes, one a byte.</param>
    /// <param name="bits">Width of a code, 1 to 7.</param>
    /// <param name="shard">Index into <see cref="ShardWidths"/>.</param>
    /// <param name="rowLength">Codes that share bytes with each other; a multiple of eight.</param>
    /// <param name="packed">At least <see cref="ShardLength"/> bytes.</param>
    /// <exception cref="ArgumentException">Lengths do not fit.</exception>
    public static void Pack(ReadOnlySpan<byte> codes, int bits, int shard, int rowLength, Span<byte> packed)
    {
        (int firstBit, int width) = Place(bits, shard);
        RequireRows(codes.Length, rowLength);
        MiniFloat.RequireRoom(ShardLength(codes.Length, width), packed.Length);
        int slice = ShardLength(rowLength, width);
        int mask = (1 << width) - 1;
        for (; !codes.IsEmpty; codes = codes[rowLength..], packed = packed[slice..])
        {
            Span<byte> row = packed[..slice];
            row.Clear();
            for (int shift = 0; shift < 8; shift += width)
            {
                ReadOnlySpan<byte> from = codes.Slice(shift / width * slice, slice);
                for (int i = 0; i < row.Length; i++)
                {
                    row[i] |= (byte)(((from[i] >> firstBit) & mask) << shift);
                }
            }
        }
    }

    /// <summary>Adds the bits of one shard to codes, which start as zero before the first shard.</summary>
    /// <param name="packed">At least <see cref="ShardLength"/> bytes.</param>
    /// <param name="bits">Width of a code, 1 to 7.</param>
    /// <param name="shard">Index into <see cref="ShardWidths"/>.</param>
    /// <param name="rowLength">Codes that share bytes with each other; a multiple of eight.</param>
    /// <param name="codes">Rows of <paramref name="rowLength"/> codes, one a byte.</param>
    /// <exception cref="ArgumentException">Lengths do not fit.</exception>
    public static void Unpack(ReadOnlySpan<byte> packed, int bits, int shard, int rowLength, Span<byte> codes)
    {
        (int firstBit, int width) = Place(bits, shard);
        RequireRows(codes.Length, rowLength);
        PackedSource.Require(ShardLength(codes.Length, width), packed.Length);
        int slice = ShardLength(rowLength, width);
        int mask = (1 << width) - 1;
        for (; !codes.IsEmpty; codes = codes[rowLength..], packed = packed[slice..])
        {
            ReadOnlySpan<byte> row = packed[..slice];
            for (int shift = 0; shift < 8; shift += width)
            {
                Span<byte> to = codes.Slice(shift / width * slice, slice);
                for (int i = 0; i < row.Length; i++)
                {
                    to[i] |= (byte)(((row[i] >> shift) & mask) << firstBit);
                }
            }
        }
    }

    private static (int FirstBit, int Width) Place(int bits, int shard)
    {
        ReadOnlySpan<int> widths = ShardWidths(bits);
        if ((uint)shard >= (uint)widths.Length)
        {
            throw new ArgumentOutOfRangeException(
                nameof(shard), shard, $"Codes of {bits} bits have {widths.Length} shard(s).");
        }

        int firstBit = 0;
        foreach (int width in widths[..shard])
        {
            firstBit += width;
        }

        return (firstBit, widths[shard]);
    }

    private static void RequireRows(int count, int rowLength)
    {
        if (rowLength <= 0 || rowLength % 8 != 0 || count % rowLength != 0)
        {
            throw new ArgumentException(
                $"{count} codes in rows of {rowLength}: rows are multiples of eight and all of one length.",
                nameof(rowLength));
        }
    }
}
