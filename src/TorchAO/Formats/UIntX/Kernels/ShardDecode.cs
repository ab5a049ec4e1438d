using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
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
    private const int MaxShards = 3;

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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
            Decode512(new Fields(packed, bits, eighth, e), bits, eighth, codes);
        }
    }

    /// <summary>Decodes a part of a row by vectors of 512 bits.</summary>
    /// <param name="packed">The row.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="length">Codes of the row with the padding; a multiple of 8.</param>
    /// <param name="begin">The first code of the part.</param>
    /// <param name="count">Codes of the part.</param>
    /// <param name="codes">Receives <paramref name="count"/> codes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Part(byte* packed, int bits, int length, int begin, int count, sbyte* codes)
    {
        int eighth = length / 8;
        while (count > 0)
        {
            (int e, int first) = Math.DivRem(begin, eighth);
            int here = Math.Min(eighth - first, count);
            Fields fields = new Fields(packed, bits, eighth, e).Skip(first);
            if (here < Vector512<byte>.Count)
            {
                Few512(fields, bits, here, codes);
            }
            else
            {
                Decode512(fields, bits, here, codes);
            }

            begin += here;
            count -= here;
            codes += here;
        }
    }

    // Fewer than a vector: their bytes are copied, because behind them a page may end.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Few512(in Fields fields, int bits, int count, sbyte* codes)
    {
        byte* bytes = stackalloc byte[MaxShards * Vector512<byte>.Count];
        sbyte* decoded = stackalloc sbyte[Vector512<byte>.Count];
        Decode512(fields.Copy(bytes, count), bits, Vector512<byte>.Count, decoded);
        Unsafe.CopyBlockUnaligned(codes, decoded, (uint)count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Decode512(in Fields fields, int bits, int count, sbyte* codes)
    {
        switch (BitOperations.PopCount((uint)bits))
        {
            case 1:
                Eighth512<OneShard>(fields, bits, count, codes);
                break;
            case 2:
                Eighth512<TwoShards>(fields, bits, count, codes);
                break;
            default:
                Eighth512<ThreeShards>(fields, bits, count, codes);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
            switch (BitOperations.PopCount((uint)bits))
            {
                case 1:
                    Eighth256<OneShard>(fields, bits, eighth, codes);
                    break;
                case 2:
                    Eighth256<TwoShards>(fields, bits, eighth, codes);
                    break;
                default:
                    Eighth256<ThreeShards>(fields, bits, eighth, codes);
                    break;
            }
        }
    }

    // The last vector ends with the eighth and may overlap the one before: it writes the same bytes again. Shifts run over
    // words; what a byte gets from its neighbour, the mask removes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Eighth512<TShards>(in Fields fields, int bits, int count, sbyte* codes)
        where TShards : struct, IShardCount
    {
        Field low = fields.Low;
        Field mid = fields.Mid;
        Field high = fields.High;
        var middle = Vector512.Create((byte)(1 << (bits - 1)));
        int last = count - Vector512<byte>.Count;
        for (int i = 0; i < last; i += Vector512<byte>.Count)
        {
            (Code512<TShards>(low, mid, high, i) - middle).AsSByte().Store(codes + i);
        }

        (Code512<TShards>(low, mid, high, last) - middle).AsSByte().Store(codes + last);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Code512<TShards>(Field low, Field mid, Field high, int i)
        where TShards : struct, IShardCount
    {
        Vector512<byte> code = Field512(low, i);
        if (TShards.Value > 1)
        {
            code |= (Field512(mid, i).AsUInt16() << mid.Place).AsByte();
        }

        if (TShards.Value > 2)
        {
            code |= (Field512(high, i).AsUInt16() << high.Place).AsByte();
        }

        return code;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Field512(Field field, int i) =>
        (Vector512.Load(field.Bytes + i).AsUInt16() >> field.Shift).AsByte() & Vector512.Create(field.Mask);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Eighth256<TShards>(in Fields fields, int bits, int count, sbyte* codes)
        where TShards : struct, IShardCount
    {
        Field low = fields.Low;
        Field mid = fields.Mid;
        Field high = fields.High;
        var middle = Vector256.Create((byte)(1 << (bits - 1)));
        int last = count - Vector256<byte>.Count;
        for (int i = 0; i < last; i += Vector256<byte>.Count)
        {
            (Code256<TShards>(low, mid, high, i) - middle).AsSByte().Store(codes + i);
        }

        (Code256<TShards>(low, mid, high, last) - middle).AsSByte().Store(codes + last);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Code256<TShards>(Field low, Field mid, Field high, int i)
        where TShards : struct, IShardCount
    {
        Vector256<byte> code = Field256(low, i);
        if (TShards.Value > 1)
        {
            code |= (Field256(mid, i).AsUInt16() << mid.Place).AsByte();
        }

        if (TShards.Value > 2)
        {
            code |= (Field256(high, i).AsUInt16() << high.Place).AsByte();
        }

        return code;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Field256(Field field, int i) =>
        (Vector256.Load(field.Bytes + i).AsUInt16() >> field.Shift).AsByte() & Vector256.Create(field.Mask);

    /// <summary>How many shards a code has: a type, so that each count has a loop of its own, without a branch.</summary>
    private interface IShardCount
    {
        static abstract int Value { get; }
    }

    private readonly struct OneShard : IShardCount
    {
        public static int Value => 1;
    }

    private readonly struct TwoShards : IShardCount
    {
        public static int Value => 2;
    }

    private readonly struct ThreeShards : IShardCount
    {
        public static int Value => 3;
    }

    /// <summary>Where one eighth of a row finds its bits in a shard, and where in the code they belong.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly struct Field(byte* bytes, int shift, byte mask, int place)
    {
        public readonly byte* Bytes = bytes;
        public readonly int Shift = shift;
        public readonly byte Mask = mask;
        public readonly int Place = place;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Field At(byte* elsewhere) => new(Bytes == null ? null : elsewhere, Shift, Mask, Place);

        public Field Copy(byte* to, int count)
        {
            if (Bytes != null)
            {
                Unsafe.CopyBlockUnaligned(to, Bytes, (uint)count);
            }

            return At(to);
        }
    }

    /// <summary>The fields of one eighth of a row: one to three, the absent ones without an address.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly struct Fields
    {
        public readonly Field Low;
        public readonly Field Mid;
        public readonly Field High;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Fields(byte* packed, int bits, int eighth, int index)
        {
            int place = 0;
            Low = Take(ref packed, ref bits, ref place, eighth, index);
            Mid = Take(ref packed, ref bits, ref place, eighth, index);
            High = Take(ref packed, ref bits, ref place, eighth, index);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private Fields(Field low, Field mid, Field high) => (Low, Mid, High) = (low, mid, high);

        /// <summary>Gets the fields of the codes behind the first ones.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Fields Skip(int codes) => new(Low.At(Low.Bytes + codes), Mid.At(Mid.Bytes + codes), High.At(High.Bytes + codes));

        /// <summary>Copies the bytes of a few codes, a vector's room for each field.</summary>
        public Fields Copy(byte* to, int count) => new(
            Low.Copy(to, count), Mid.Copy(to + Vector512<byte>.Count, count), High.Copy(to + (2 * Vector512<byte>.Count), count));

        // The widths of shards are the binary digits of the bits of a code, the highest first.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Field Take(ref byte* shard, ref int bits, ref int place, int eighth, int index)
        {
            if (bits == 0)
            {
                return default;
            }

            int log = BitOperations.Log2((uint)bits), width = 1 << log;
            byte* bytes = shard + ((long)(index & (width - 1)) * eighth);
            var field = new Field(bytes, index >> log << log, (byte)((1 << width) - 1), place);
            shard += (long)width * eighth;
            bits -= width;
            place += width;
            return field;
        }
    }
}
