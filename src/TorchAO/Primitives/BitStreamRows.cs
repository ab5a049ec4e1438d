using TorchAO.Primitives.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Rows of codes of 1 to 8 bits without gaps, the first code in the highest bits of a byte; on any device.</summary>
/// <remarks>The order of torchao's <c>pack_uint2</c> … <c>pack_uint7</c>, of its fp4 elements and of its BitNet weights. Each row
/// begins a byte; what is left of its last byte is zero.</remarks>
internal static class BitStreamRows
{
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
        return IsInOnePass(codes) && bits != 8
            ? RowPacking.Run(codes, RowBytes(codes.size(1), bits), new BitStreamPacker(codes.size(1), bits))
            : ByTensors(codes, bits);
    }

    /// <summary>Says whether <see cref="Pack"/> makes no temporaries, so that there is no reason to give it a few rows at a time.</summary>
    public static bool IsInOnePass(Tensor codes) => RowPacking.Covers(codes);

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
}
