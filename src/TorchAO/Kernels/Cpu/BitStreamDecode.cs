using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>Turns a stream of codes of 1 to 8 bits, the first in the highest bits, into a byte each.</summary>
/// <remarks>The inverse of <c>BitStreamRows.Pack</c> for a run of codes that begins a byte. All paths give the same bytes, and none
/// reads beyond the bytes that it is given.</remarks>
internal static unsafe class BitStreamDecode
{
    private const int Step = 8; // codes that fill whole bytes at every width

    // By bits of a code, for 64 codes in eight lanes: which byte comes where (what lies above the codes is masked out later), and
    // how far each code is from its byte.
    private static readonly Vector512<byte>[] Orders = ByBits(
        (bits, lane, place) => (lane * bits) + Math.Max(0, bits - 1 - place));

    private static readonly Vector512<byte>[] Shifts = ByBits((bits, _, place) => (Step - 1 - place) * bits);

    /// <summary>Decodes.</summary>
    /// <param name="packed">The first byte.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="count">Codes.</param>
    /// <param name="codes">Receives <paramref name="count"/> bytes.</param>
    /// <param name="readable">How many bytes may be read, at least those of the codes: wide loads want to look further.</param>
    public static void Run(byte* packed, int bits, int count, byte* codes, int readable)
    {
        if (bits == 8)
        {
            new ReadOnlySpan<byte>(packed, count).CopyTo(new Span<byte>(codes, count));
            return;
        }

        int done = 0;
        if (Avx512Vbmi.IsSupported && Vector512.IsHardwareAccelerated)
        {
            done = MultiShift(packed, bits, count, codes, readable);
        }

        if (Bmi2.X64.IsSupported)
        {
            done += Deposit(packed + (done * bits / 8), bits, count - done, codes + done, readable - (done * bits / 8));
        }

        Scalar(packed + (done * bits / 8), bits, count - done, codes + done);
    }

    /// <summary>Reads one code; of a width that divides no byte it may lie in two.</summary>
    public static byte Code(byte* packed, int bits, int index)
    {
        int bit = index * bits;
        int window = packed[bit / 8] << 8;
        if ((bit % 8) + bits > 8)
        {
            window |= packed[(bit / 8) + 1];
        }

        return (byte)((window >> (16 - (bit % 8) - bits)) & ((1 << bits) - 1));
    }

    /// <summary>The reference: the definition, one code at a time.</summary>
    internal static void Scalar(byte* packed, int bits, int count, byte* codes)
    {
        for (int i = 0; i < count; i++)
        {
            codes[i] = Code(packed, bits, i);
        }
    }

    // Each lane of 64 bits gets the bytes of eight codes, the first code highest; a shift of its own brings each code to its byte.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int MultiShift(byte* packed, int bits, int count, byte* codes, int readable)
    {
        Vector512<byte> order = Orders[bits], shift = Shifts[bits];
        var mask = Vector512.Create((byte)((1 << bits) - 1));
        int done = 0;

        // The load takes 64 bytes, of which 8 · bits are used, so the last steps of a row are left to the caller.
        for (int at = 0; done + 64 <= count && at + 64 <= readable; done += 64, at += Step * bits)
        {
            CodePrefetch.Ahead(packed + at);
            Vector512<byte> lanes = Avx512Vbmi.PermuteVar64x8(Vector512.Load(packed + at), order);
            (Avx512Vbmi.MultiShift(shift, lanes.AsUInt64()) & mask).Store(codes + done);
        }

        return done;
    }

    // The same for eight codes: a deposit spreads them over eight bytes, the first code in the last. The load takes eight bytes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Deposit(byte* packed, int bits, int count, byte* codes, int readable)
    {
        ulong mask = 0x0101010101010101 * ((1UL << bits) - 1);
        int surplus = 64 - (Step * bits);
        int steps = Math.Min(count / Step, readable < 8 ? 0 : ((readable - 8) / bits) + 1);
        for (int i = 0; i < steps; i++)
        {
            CodePrefetch.Ahead(packed + (i * bits));
            ulong word = BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<ulong>(packed + (i * bits))) >> surplus;
            ulong spread = Bmi2.X64.ParallelBitDeposit(word, mask);
            Unsafe.WriteUnaligned(codes + (i * Step), BinaryPrimitives.ReverseEndianness(spread));
        }

        return steps * Step;
    }

    private static Vector512<byte>[] ByBits(Func<int, int, int, int> entry) =>
    [
        .. Enumerable.Range(0, Step).Select(bits => Vector512.Create<byte>(
            [.. Enumerable.Range(0, 64).Select(i => (byte)entry(bits, i / Step, i % Step))])),
    ];
}
