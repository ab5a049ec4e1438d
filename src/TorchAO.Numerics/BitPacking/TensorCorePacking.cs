using System.Buffers.Binary;

namespace TorchAO.Numerics.BitPacking;

/// <summary>
/// Codes of three to seven bits in the order in which the FP6-LLM kernel's threads read a weight: one fragment each of one,
/// two and four bits (as the width needs them, highest bits first), in tiles of 64 rows, words of 32 bits interleaved over
/// the 32 lanes of a warp. The fragments run over the whole matrix, so that a row of the packed matrix is not a row of
/// codes. Xia et al., "FP6-LLM", 2024.
/// </summary>
public static class TensorCorePacking
{
    /// <summary>Rows and columns are multiples of this.</summary>
    public const int Tile = 64;

    private const int Lanes = 32;

    // The place of each field of a word, most significant first: a thread shifts out neighbouring values together.
    private static readonly byte[] OneBitOrder =
    [
        1, 5, 9, 13, 17, 21, 25, 29, 3, 7, 11, 15, 19, 23, 27, 31,
        0, 4, 8, 12, 16, 20, 24, 28, 2, 6, 10, 14, 18, 22, 26, 30,
    ];

    private static readonly byte[] TwoBitOrder = [1, 5, 9, 13, 3, 7, 11, 15, 0, 4, 8, 12, 2, 6, 10, 14];

    private static readonly byte[] FourBitOrder = [1, 5, 3, 7, 0, 4, 2, 6];

    /// <summary>Bytes of a packed matrix.</summary>
    /// <exception cref="ArgumentException">The shape or the width does not fit.</exception>
    public static int PackedLength(int rows, int columns, int bits)
    {
        if (bits is < 3 or > 7)
        {
            throw new ArgumentOutOfRangeException(nameof(bits), bits, "Codes are 3 to 7 bits wide.");
        }

        if (rows < 0 || columns < 0 || rows % Tile != 0 || columns % Tile != 0)
        {
            throw new ArgumentException($"[{rows}, {columns}] does not divide into tiles of {Tile}x{Tile}.");
        }

        return checked(rows * columns / 8 * bits);
    }

    /// <summary>Packs a matrix of codes.</summary>
    /// <param name="codes">[rows, columns], one code in the low bits of a byte.</param>
    /// <param name="rows">A multiple of 64.</param>
    /// <param name="columns">A multiple of 64.</param>
    /// <param name="bits">Width of a code, 3 to 7.</param>
    /// <param name="packed">At least <see cref="PackedLength"/> bytes.</param>
    /// <exception cref="ArgumentException">Shape, width or lengths do not fit.</exception>
    public static void Pack(ReadOnlySpan<byte> codes, int rows, int columns, int bits, Span<byte> packed)
    {
        MiniFloat.RequireRoom(PackedLength(rows, columns, bits), packed.Length);
        PackedSource.Require(rows * columns, codes.Length);
        foreach ((int width, int shift, int start) in Fragments(rows * columns, bits))
        {
            byte[] order = Order(width);
            uint mask = (1u << width) - 1;
            for (int word = 0; word < rows * columns / order.Length; word++)
            {
                uint value = 0;
                foreach (byte field in order)
                {
                    value = (value << width) | (((uint)codes[Source(word, field, order.Length, columns)] >> shift) & mask);
                }

                BinaryPrimitives.WriteUInt32LittleEndian(packed[(start + 4 * word)..], value);
            }
        }
    }

    /// <summary>Unpacks a matrix of codes; the inverse of <see cref="Pack"/>.</summary>
    /// <param name="packed">At least <see cref="PackedLength"/> bytes.</param>
    /// <param name="rows">A multiple of 64.</param>
    /// <param name="columns">A multiple of 64.</param>
    /// <param name="bits">Width of a code, 3 to 7.</param>
    /// <param name="codes">Receives [rows, columns], one code a byte.</param>
    /// <exception cref="ArgumentException">Shape, width or lengths do not fit.</exception>
    public static void Unpack(ReadOnlySpan<byte> packed, int rows, int columns, int bits, Span<byte> codes)
    {
        PackedSource.Require(PackedLength(rows, columns, bits), packed.Length);
        MiniFloat.RequireRoom(rows * columns, codes.Length);
        codes[..(rows * columns)].Clear();
        foreach ((int width, int shift, int start) in Fragments(rows * columns, bits))
        {
            byte[] order = Order(width);
            uint mask = (1u << width) - 1;
            for (int word = 0; word < rows * columns / order.Length; word++)
            {
                uint value = BinaryPrimitives.ReadUInt32LittleEndian(packed[(start + 4 * word)..]);
                for (int i = order.Length - 1; i >= 0; i--, value >>= width)
                {
                    codes[Source(word, order[i], order.Length, columns)] |= (byte)((value & mask) << shift);
                }
            }
        }
    }

    private static List<(int Width, int Shift, int Start)> Fragments(int count, int bits)
    {
        List<(int, int, int)> fragments = [];
        int shift = bits;
        int start = 0;
        foreach (int width in (ReadOnlySpan<int>)[1, 2, 4])
        {
            if ((bits & width) != 0)
            {
                shift -= width;
                fragments.Add((width, shift, start));
                start += count / 8 * width;
            }
        }

        return fragments;
    }

    private static byte[] Order(int width) => width switch { 1 => OneBitOrder, 2 => TwoBitOrder, _ => FourBitOrder };

    // Where the matrix holds a field of a word. Words of the lanes alternate; a lane owns every 32nd pair of the matrix
    // written tile by tile: 64 rows, 16 columns, then row bits (4), column bit (2), row bit (2), rows (8), columns (8).
    private static int Source(int word, int field, int fieldsPerWord, int columns)
    {
        int lane = word % Lanes;
        int inLane = word / Lanes * fieldsPerWord + field;
        int place = (inLane / 2 * Lanes + lane) * 2 + inLane % 2;
        int tile = place >> 10;
        int tilesAcross = columns / 16;
        int row = (tile / tilesAcross * 64) + (((place >> 8) & 3) * 16) + (((place >> 6) & 1) * 8) + ((place >> 3) & 7);
        int column = (tile % tilesAcross * 16) + (((place >> 7) & 1) * 8) + (place & 7);
        return row * columns + column;
    }
}
