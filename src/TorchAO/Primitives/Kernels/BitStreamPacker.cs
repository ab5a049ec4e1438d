using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Primitives.Kernels;

/// <summary>Packs a row of codes as <see cref="BitStreamRows"/> orders them.</summary>
/// <param name="k">Codes of a row.</param>
/// <param name="bits">Bits of a code, 1 to 7.</param>
internal readonly unsafe struct BitStreamPacker(long k, int bits) : IRowPacker
{
    // Eight codes fill as many bytes as a code has bits: read as a big-endian word, they are moved together at its low end.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Pack(byte* codes, byte* packed)
    {
        ulong mask = 0x0101010101010101 * ((1UL << bits) - 1);
        byte* last = packed + BitStreamRows.RowBytes(k, bits) - sizeof(ulong);
        long i = 0;
        for (; i + 8 <= k && packed <= last; i += 8, packed += bits)
        {
            ulong word = BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<ulong>(codes + i));
            ulong stream = (Bmi2.X64.IsSupported ? Bmi2.X64.ParallelBitExtract(word, mask) : Extract(word, bits)) << (64 - (8 * bits));

            // Eight bytes lie in the row; those beyond the codes are written again by what follows.
            Unsafe.WriteUnaligned(packed, BinaryPrimitives.ReverseEndianness(stream));
        }

        Finish(codes + i, packed, k - i, bits);
    }

    /// <summary>Moves the low bits of eight bytes together, as a parallel extract does.</summary>
    internal static ulong Extract(ulong word, int bits)
    {
        ulong stream = 0;
        for (int shift = 56; shift >= 0; shift -= 8)
        {
            stream = (stream << bits) | ((word >> shift) & ((1UL << bits) - 1));
        }

        return stream;
    }

    private static void Finish(byte* codes, byte* packed, long count, int bits)
    {
        int pending = 0;
        uint held = 0;
        for (long i = 0; i < count; i++)
        {
            held = (held << bits) | codes[i];
            pending += bits;
            if (pending >= 8)
            {
                pending -= 8;
                *packed++ = (byte)(held >> pending);
            }
        }

        if (pending > 0)
        {
            *packed = (byte)(held << (8 - pending));
        }
    }
}
