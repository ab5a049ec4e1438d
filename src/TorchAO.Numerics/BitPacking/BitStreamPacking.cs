namespace TorchAO.Numerics.BitPacking;

/// <summary>
/// Codes of one to eight bits as one stream without gaps, the first code in the most significant bits of the first byte
/// (torchao's uintgen, uint2 and uint4 tensors). What is left of the last byte is zero.
/// </summary>
public static class BitStreamPacking
{
    /// <summary>Bytes that <paramref name="count"/> codes take.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not one to eight bits.</exception>
    public static int PackedLength(int count, int bits)
    {
        PackedSource.RequireBits(bits, 8);
        return checked((int)(((long)count * bits + 7) / 8));
    }

    /// <summary>Packs codes; bits above their width are dropped.</summary>
    /// <param name="codes">One code a byte.</param>
    /// <param name="bits">Width of a code, 1 to 8.</param>
    /// <param name="packed">At least <see cref="PackedLength"/> bytes.</param>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public static void Pack(ReadOnlySpan<byte> codes, int bits, Span<byte> packed)
    {
        MiniFloat.RequireRoom(PackedLength(codes.Length, bits), packed.Length);
        uint mask = (1u << bits) - 1;
        uint pending = 0;
        int held = 0;
        int at = 0;
        foreach (byte code in codes)
        {
            pending = (pending << bits) | (code & mask);
            held += bits;
            if (held >= 8)
            {
                held -= 8;
                packed[at++] = (byte)(pending >> held);
            }
        }

        if (held > 0)
        {
            packed[at] = (byte)(pending << (8 - held));
        }
    }

    /// <summary>Unpacks as many codes as the destination holds.</summary>
    /// <param name="packed">At least <see cref="PackedLength"/> bytes for the destination's length.</param>
    /// <param name="bits">Width of a code, 1 to 8.</param>
    /// <param name="codes">Receives one code a byte.</param>
    /// <exception cref="ArgumentException">The source is too short.</exception>
    public static void Unpack(ReadOnlySpan<byte> packed, int bits, Span<byte> codes)
    {
        PackedSource.Require(PackedLength(codes.Length, bits), packed.Length);
        uint mask = (1u << bits) - 1;
        uint pending = 0;
        int held = 0;
        int at = 0;
        for (int i = 0; i < codes.Length; i++)
        {
            if (held < bits)
            {
                pending = (pending << 8) | packed[at++];
                held += 8;
            }

            held -= bits;
            codes[i] = (byte)((pending >> held) & mask);
        }
    }
}
