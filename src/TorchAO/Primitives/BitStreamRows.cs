using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Rows of codes of 1 to 8 bits without gaps, the first code in the highest bits of a byte; on any device.</summary>
/// <remarks>The order of torchao's <c>pack_uint2</c> … <c>pack_uint7</c>, of its fp4 elements and of its BitNet weights. Each row
/// begins a byte; what is left of its last byte is zero.</remarks>
internal static unsafe class BitStreamRows
{
    private const long BytesPerWorker = 1 << 15;

    /// <summary>Gets the bytes of a row.</summary>
    public static long RowBytes(long codes, int bits) => ((codes * bits) + 7) / 8;

    /// <summary>Gets the fewest codes that fill whole bytes.</summary>
    public static int CodesPerStep(int bits) => 8 / CommonDivisor(bits);

    /// <summary>Packs codes.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>, uint8, each below <c>2^bits</c>.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <returns>Bytes <c>[N, ⌈K · bits / 8⌉]</c>. The caller disposes them.</returns>
    public static Tensor Pack(Tensor codes, int bits)
    {
        if (!IsInOnePass(codes) || bits == 8)
        {
            return ByTensors(codes, bits);
        }

        (long n, long k) = (codes.size(0), codes.size(1));
        Tensor packed = empty([n, RowBytes(k, bits)], dtype: ScalarType.Byte);
        var job = new Job(TensorMemory.Address<byte>(codes), TensorMemory.Address<byte>(packed), k, bits);
        ParallelRows.Run(n, Math.Max(1, BytesPerWorker / k), job);
        GC.KeepAlive(codes); // the job reads it by address
        return packed;
    }

    /// <summary>Says whether <see cref="Pack"/> makes no temporaries, so that there is no reason to give it a few rows at a time.</summary>
    public static bool IsInOnePass(Tensor codes) =>
        codes.device_type == DeviceType.CPU && codes.dtype == ScalarType.Byte && codes.is_contiguous() && codes.numel() > 0;

    /// <summary>The reference of <see cref="Pack"/>: the same by tensor arithmetic, on any device.</summary>
    internal static Tensor ByTensors(Tensor codes, int bits)
    {
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (codes.size(0), codes.size(1));
        if (bits == 8)
        {
            return codes.clone().MoveToOuterDisposeScope();
        }

        int step = CodesPerStep(bits);
        long rest = (step - (k % step)) % step;
        Tensor padded = rest == 0 ? codes : nn.functional.pad(codes, [0, rest]);
        Tensor words = Join(padded.reshape(n, -1, step), bits);
        Tensor bytes = Split(words, 8, step * bits / 8).to_type(ScalarType.Byte).reshape(n, -1);
        return bytes.narrow(1, 0, RowBytes(k, bits)).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>Unpacks codes.</summary>
    /// <param name="packed">Bytes as <see cref="Pack"/> makes them.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="k">K, the count of codes in a row.</param>
    /// <returns>Codes <c>[N, K]</c>, uint8. The caller disposes them.</returns>
    public static Tensor Unpack(Tensor packed, int bits, long k)
    {
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (bits == 8)
        {
            return packed.clone().MoveToOuterDisposeScope();
        }

        int step = CodesPerStep(bits);
        int stepBytes = step * bits / 8;
        long rest = (stepBytes - (packed.size(1) % stepBytes)) % stepBytes;
        Tensor padded = rest == 0 ? packed : nn.functional.pad(packed, [0, rest]);
        Tensor words = Join(padded.reshape(packed.size(0), -1, stepBytes), 8);
        Tensor codes = Split(words, bits, step).to_type(ScalarType.Byte).reshape(packed.size(0), -1);
        return codes.narrow(1, 0, k).contiguous().MoveToOuterDisposeScope();
    }

    // Fields of a whole step make one number of at most 56 bits, the first field highest.
    private static Tensor Join(Tensor fields, int bits)
    {
        ScalarType wide = Wide(fields.size(2) * bits);
        Tensor words = fields.select(2, 0).to_type(wide, copy: true);
        for (long i = 1; i < fields.size(2); i++)
        {
            words.mul_(1L << bits).add_(fields.select(2, i));
        }

        return words;
    }

    private static Tensor Split(Tensor words, int bits, int count)
    {
        Tensor mask = tensor((1L << bits) - 1, words.dtype, words.device);
        return stack(
            Enumerable.Range(1, count).Select(i => words
                .bitwise_right_shift(tensor((long)(count - i) * bits, words.dtype, words.device))
                .bitwise_and_(mask)),
            dim: 2);
    }

    private static ScalarType Wide(long bits) =>
        bits <= 8 ? ScalarType.Int16 : bits <= 24 ? ScalarType.Int32 : ScalarType.Int64;

    private static int CommonDivisor(int bits) => bits % 8 == 0 ? 8 : bits % 4 == 0 ? 4 : bits % 2 == 0 ? 2 : 1;

    private readonly struct Job(byte* codes, byte* packed, long k, int bits) : IRowJob
    {
        // A model is quantized once: there would be no time to notice that this is hot.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long begin, long end)
        {
            for (long row = begin; row < end; row++)
            {
                PackRow(codes + (row * k), packed + (row * RowBytes(k, bits)), k, bits);
            }
        }
    }

    // Eight codes fill as many bytes as a code has bits: read as a big-endian word, they are moved together at its low end.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackRow(byte* codes, byte* packed, long k, int bits)
    {
        ulong mask = 0x0101010101010101 * ((1UL << bits) - 1);
        byte* last = packed + RowBytes(k, bits) - sizeof(ulong);
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
