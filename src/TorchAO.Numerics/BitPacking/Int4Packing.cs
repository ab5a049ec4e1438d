using System.Numerics;

namespace TorchAO.Numerics.BitPacking;

/// <summary>Two four-bit codes a byte. An odd count leaves the last byte's second nibble zero.</summary>
public static class Int4Packing
{
    /// <summary>Bytes that <paramref name="count"/> codes take.</summary>
    public static int PackedLength(int count) => (count + 1) / 2;

    /// <summary>Packs codes; their upper four bits are dropped, so that signed codes (two's complement) work too.</summary>
    /// <param name="codes">One code a byte.</param>
    /// <param name="packed">At least <see cref="PackedLength"/> bytes.</param>
    /// <param name="order">Which nibble comes first.</param>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public static void Pack(ReadOnlySpan<byte> codes, Span<byte> packed, NibbleOrder order = NibbleOrder.LowFirst)
    {
        MiniFloat.RequireRoom(PackedLength(codes.Length), packed.Length);
        (int first, int second) = Shifts(order);
        int pairs = codes.Length / 2;
        for (int i = 0; i < pairs; i++)
        {
            packed[i] = (byte)(((codes[2 * i] & 15) << first) | ((codes[2 * i + 1] & 15) << second));
        }

        if (codes.Length % 2 != 0)
        {
            packed[pairs] = (byte)((codes[^1] & 15) << first);
        }
    }

    /// <summary>Unpacks as many unsigned codes as the destination holds.</summary>
    /// <param name="packed">At least <see cref="PackedLength"/> bytes for the destination's length.</param>
    /// <param name="codes">Receives codes 0 to 15, one a byte.</param>
    /// <param name="order">Which nibble comes first.</param>
    /// <exception cref="ArgumentException">The source is too short.</exception>
    public static void Unpack(ReadOnlySpan<byte> packed, Span<byte> codes, NibbleOrder order = NibbleOrder.LowFirst)
    {
        PackedSource.Require(PackedLength(codes.Length), packed.Length);
        (int first, int second) = Shifts(order);
        int done = 0;
        if (BitConverter.IsLittleEndian)
        {
            // A widened byte spread over sixteen bits is two codes in memory order.
            int step = Vector<byte>.Count;
            Vector<ushort> low = new(0x000F);
            for (; 2 * (done + step) <= codes.Length; done += step)
            {
                Vector.Widen(new Vector<byte>(packed[done..]), out Vector<ushort> a, out Vector<ushort> b);
                Spread(a, first, second, low).CopyTo(codes[(2 * done)..]);
                Spread(b, first, second, low).CopyTo(codes[(2 * done + step)..]);
            }
        }

        for (int i = 2 * done; i < codes.Length; i++)
        {
            codes[i] = (byte)((packed[i / 2] >> (i % 2 == 0 ? first : second)) & 15);
        }
    }

    /// <summary>Unpacks as many two's complement codes as the destination holds.</summary>
    /// <param name="packed">At least <see cref="PackedLength"/> bytes for the destination's length.</param>
    /// <param name="codes">Receives codes −8 to 7, one a byte.</param>
    /// <param name="order">Which nibble comes first.</param>
    /// <exception cref="ArgumentException">The source is too short.</exception>
    public static void UnpackSigned(
        ReadOnlySpan<byte> packed, Span<sbyte> codes, NibbleOrder order = NibbleOrder.LowFirst)
    {
        PackedSource.Require(PackedLength(codes.Length), packed.Length);
        (int first, int second) = Shifts(order);
        for (int i = 0; i < codes.Length; i++)
        {
            int code = packed[i / 2] >> (i % 2 == 0 ? first : second);
            codes[i] = (sbyte)((sbyte)(code << 4) >> 4);
        }
    }

    private static Vector<byte> Spread(Vector<ushort> bytes, int first, int second, Vector<ushort> low)
    {
        Vector<ushort> even = Vector.ShiftRightLogical(bytes, first) & low;
        Vector<ushort> odd = Vector.ShiftRightLogical(bytes, second) & low;
        return Vector.AsVectorByte(even | Vector.ShiftLeft(odd, 8));
    }

    private static (int First, int Second) Shifts(NibbleOrder order) => order switch
    {
        NibbleOrder.LowFirst => (0, 4),
        NibbleOrder.HighFirst => (4, 0),
        _ => throw new ArgumentOutOfRangeException(nameof(order), order, "An unknown order of nibbles."),
    };
}
