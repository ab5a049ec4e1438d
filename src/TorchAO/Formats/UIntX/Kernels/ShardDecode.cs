using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TorchAO.Formats.UIntX.Kernels;

/// <summary>
/// Turns a packed row into signed bytes <c>code − 2ᵇ⁻¹</c> in their own order: the inverse of <see cref="ShardPacking"/> for
/// one row. All paths give the same bytes.
/// </summary>
/// <remarks>
/// A shard of width w keeps 8/w slices of the row above each other. Cut into eighths, a row has one slice of each shard in
/// each eighth: neighbours in the row are neighbours in memory, and the shift is the same for all of them. So a vector of
/// bytes needs a load, a shift, a mask for each shard, and no permutation.
/// </remarks>
internal static unsafe class ShardDecode
{
    /// <summary>Decodes with the widest vectors that this processor runs at full speed.</summary>
    /// <param name="packed">A row, <c>length / 8 · bits</c> bytes.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="length">Codes with the padding; a multiple of 8.</param>
    /// <param name="codes">Receives <paramref name="length"/> codes.</param>
    public static void Best(byte* packed, int bits, int length, sbyte* codes)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Wide512(packed, bits, length, codes);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            Wide256(packed, bits, length, codes);
        }
        else
        {
            Scalar(packed, bits, length, codes);
        }
    }

    /// <summary>The reference: the definition, one code at a time.</summary>
    internal static void Scalar(byte* packed, int bits, int length, sbyte* codes)
    {
        Debug.Assert(length % ShardPacking.RowMultiple == 0);
        ReadOnlySpan<int> widths = ShardPacking.Widths(bits);
        for (int k = 0; k < length; k++)
        {
            byte* shard = packed;
            int code = 0;
            int firstBit = 0;
            foreach (int width in widths)
            {
                int slice = length / 8 * width;
                int field = (shard[k % slice] >> (k / slice * width)) & ((1 << width) - 1);
                code |= field << firstBit;
                firstBit += width;
                shard += slice;
            }

            codes[k] = (sbyte)(code - (1 << (bits - 1)));
        }
    }

    internal static void Wide512(byte* packed, int bits, int length, sbyte* codes)
    {
        int eighth = length / 8;
        if (eighth < Vector512<byte>.Count)
        {
            Wide256(packed, bits, length, codes);
            return;
        }

        for (int e = 0; e < 8; e++, codes += eighth)
        {
            var fields = new Fields(packed, bits, eighth, e);
            Eighth512(fields, (byte)(1 << (bits - 1)), eighth, codes);
        }
    }

    internal static void Wide256(byte* packed, int bits, int length, sbyte* codes)
    {
        int eighth = length / 8;
        if (eighth < Vector256<byte>.Count)
        {
            Scalar(packed, bits, length, codes);
            return;
        }

        for (int e = 0; e < 8; e++, codes += eighth)
        {
            var fields = new Fields(packed, bits, eighth, e);
            Eighth256(fields, (byte)(1 << (bits - 1)), eighth, codes);
        }
    }

    // The last vector ends with the eighth and may overlap the one before: it writes the same bytes again. Shifts run over
    // words; what a byte gets from its neighbour, the mask removes.
    private static void Eighth512(in Fields fields, byte middle, int count, sbyte* codes)
    {
        byte* low = fields.Low.Bytes;
        byte* mid = fields.Mid.Bytes;
        byte* high = fields.High.Bytes;
        (int lowShift, int midShift, int highShift) = (fields.Low.Shift, fields.Mid.Shift, fields.High.Shift);
        (int midPlace, int highPlace) = (fields.Mid.Place, fields.High.Place);
        Vector512<ushort> lowMask = Vector512.Create(fields.Low.Mask).AsUInt16();
        Vector512<ushort> midMask = Vector512.Create(fields.Mid.Mask).AsUInt16();
        Vector512<ushort> highMask = Vector512.Create(fields.High.Mask).AsUInt16();
        var middles = Vector512.Create(middle);
        for (int i = 0; ; i = Math.Min(i + Vector512<byte>.Count, count - Vector512<byte>.Count))
        {
            Vector512<ushort> code = (Vector512.Load(low + i).AsUInt16() >> lowShift) & lowMask;
            if (mid != null)
            {
                code |= ((Vector512.Load(mid + i).AsUInt16() >> midShift) & midMask) << midPlace;
            }

            if (high != null)
            {
                code |= ((Vector512.Load(high + i).AsUInt16() >> highShift) & highMask) << highPlace;
            }

            (code.AsByte() - middles).AsSByte().Store(codes + i);
            if (i == count - Vector512<byte>.Count)
            {
                return;
            }
        }
    }

    private static void Eighth256(in Fields fields, byte middle, int count, sbyte* codes)
    {
        byte* low = fields.Low.Bytes;
        byte* mid = fields.Mid.Bytes;
        byte* high = fields.High.Bytes;
        (int lowShift, int midShift, int highShift) = (fields.Low.Shift, fields.Mid.Shift, fields.High.Shift);
        (int midPlace, int highPlace) = (fields.Mid.Place, fields.High.Place);
        Vector256<ushort> lowMask = Vector256.Create(fields.Low.Mask).AsUInt16();
        Vector256<ushort> midMask = Vector256.Create(fields.Mid.Mask).AsUInt16();
        Vector256<ushort> highMask = Vector256.Create(fields.High.Mask).AsUInt16();
        var middles = Vector256.Create(middle);
        for (int i = 0; ; i = Math.Min(i + Vector256<byte>.Count, count - Vector256<byte>.Count))
        {
            Vector256<ushort> code = (Vector256.Load(low + i).AsUInt16() >> lowShift) & lowMask;
            if (mid != null)
            {
                code |= ((Vector256.Load(mid + i).AsUInt16() >> midShift) & midMask) << midPlace;
            }

            if (high != null)
            {
                code |= ((Vector256.Load(high + i).AsUInt16() >> highShift) & highMask) << highPlace;
            }

            (code.AsByte() - middles).AsSByte().Store(codes + i);
            if (i == count - Vector256<byte>.Count)
            {
                return;
            }
        }
    }

    /// <summary>Where one eighth of a row finds its bits in a shard, and where in the code they belong.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly struct Field(byte* bytes, int shift, byte mask, int place)
    {
        public readonly byte* Bytes = bytes;
        public readonly int Shift = shift;
        public readonly byte Mask = mask;
        public readonly int Place = place;
    }

    /// <summary>The fields of one eighth of a row: one to three, the absent ones without an address.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly struct Fields
    {
        public readonly Field Low;
        public readonly Field Mid;
        public readonly Field High;

        public Fields(byte* packed, int bits, int eighth, int index)
        {
            ReadOnlySpan<int> widths = ShardPacking.Widths(bits);
            Low = Take(ref packed, widths, 0, eighth, index);
            Mid = Take(ref packed, widths, 1, eighth, index);
            High = Take(ref packed, widths, 2, eighth, index);
        }

        private static Field Take(ref byte* shard, ReadOnlySpan<int> widths, int i, int eighth, int index)
        {
            if (i >= widths.Length)
            {
                return default;
            }

            int width = widths[i];
            int place = 0;
            foreach (int lower in widths[..i])
            {
                place += lower;
            }

            byte* bytes = shard + ((long)(index % width) * eighth);
            shard += (long)width * eighth;
            return new Field(bytes, index / width * width, (byte)((1 << width) - 1), place);
        }
    }
}
