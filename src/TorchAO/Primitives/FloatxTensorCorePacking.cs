using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Packs codes of 3 to 7 bits in the order in which tensor cores of the quant-llm kernels read them.</summary>
/// <remarks>
/// Every code is cut into a 1-, a 2- and a 4-bit part, most significant part first; each part forms a fragment of its own
/// for the whole matrix, and the fragments follow one another. Rows of the packed matrix therefore mean nothing alone.
/// Xia et al. 2024 (arXiv:2401.14112), section 5. torchao's <c>pack_tc_floatx</c>.
/// </remarks>
public static class FloatxTensorCorePacking
{
    private const int TileEdge = 64;
    private static readonly int[] Widths = [1, 2, 4];

    /// <summary>Packs codes.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>, uint8, one a byte in its low bits; N and K multiples of 64.</param>
    /// <param name="bits">Bits of a code, 3 to 7.</param>
    /// <returns>Bytes <c>[N, K / 8 · bits]</c>. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The shape or the bits do not fit.</exception>
    public static Tensor Pack(Tensor codes, int bits)
    {
        ArgumentNullException.ThrowIfNull(codes);
        if (codes.dim() != 2 || codes.shape[0] % TileEdge != 0 || codes.shape[1] % TileEdge != 0)
        {
            throw new QuantizationException(
                $"Tensor-core packing got codes of shape [{string.Join(", ", codes.shape)}]: expected a matrix whose edges " +
                "are multiples of 64. Pad it or keep the codes unpacked.");
        }

        CheckBits(bits);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor tiled = ToTiles(codes.to_type(ScalarType.Int32), codes.shape[0], codes.shape[1]);
        List<Tensor> fragments = [];
        int used = 0;
        foreach (int width in Parts(bits))
        {
            used += width;
            Tensor part = tiled.bitwise_right_shift(tensor(bits - used, ScalarType.Int32, codes.device))
                .bitwise_and((1 << width) - 1);
            Tensor bytes = Join(part, width).reshape(32, -1, 4).permute(1, 0, 2).flip(2).flatten();
            fragments.Add(Reorder(bytes, width, Order(width)));
        }

        return cat(fragments).to_type(ScalarType.Byte).reshape(codes.shape[0], -1).MoveToOuterDisposeScope();
    }

    /// <summary>Undoes <see cref="Pack"/>.</summary>
    /// <param name="packed">Bytes <c>[N, K / 8 · bits]</c>.</param>
    /// <param name="bits">Bits of a code, 3 to 7.</param>
    /// <returns>Codes <c>[N, K]</c>, uint8. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The shape or the bits do not fit.</exception>
    public static Tensor Unpack(Tensor packed, int bits)
    {
        ArgumentNullException.ThrowIfNull(packed);
        CheckBits(bits);
        if (packed.dim() != 2 || packed.shape[0] % TileEdge != 0 || packed.shape[1] % (TileEdge / 8 * bits) != 0)
        {
            throw new QuantizationException(
                $"Tensor-core packing of {bits} bits got bytes of shape [{string.Join(", ", packed.shape)}]: expected a " +
                $"matrix with a multiple of 64 rows and of {TileEdge / 8 * bits} columns.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        long rows = packed.shape[0];
        long columns = packed.shape[1] * 8 / bits;
        Tensor bytes = packed.to_type(ScalarType.Int32).flatten();
        Tensor tiled = zeros(rows * columns, ScalarType.Int32, packed.device);
        long from = 0;
        foreach (int width in Parts(bits))
        {
            long length = rows * columns * width / 8;
            int[] order = Order(width);
            int[] inverse = [.. Enumerable.Range(0, order.Length).Select(i => Array.IndexOf(order, i))];
            Tensor fragment = Reorder(bytes.narrow(0, from, length), width, inverse)
                .reshape(-1, 32, 4).flip(2).permute(1, 0, 2).flatten();
            tiled = (tiled * (1 << width)) + Split(fragment, width);
            from += length;
        }

        return FromTiles(tiled, rows, columns).to_type(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    private static Tensor ToTiles(Tensor codes, long rows, long columns) =>
        codes.reshape(rows / 64, 4, 2, 8, columns / 16, 2, 8).permute(0, 4, 1, 5, 2, 3, 6)
            .reshape(-1, 32, 2).permute(1, 0, 2).flatten();

    private static Tensor FromTiles(Tensor tiled, long rows, long columns) =>
        tiled.reshape(32, -1, 2).permute(1, 0, 2).reshape(rows / 64, columns / 16, 4, 2, 2, 8, 8)
            .permute(0, 2, 4, 5, 1, 3, 6).reshape(rows, columns);

    private static IEnumerable<int> Parts(int bits) => Widths.Where(width => (bits & width) != 0);

    // Fields of a 32-bit word, most significant first: the lanes of a warp find theirs without shuffling.
    private static int[] Order(int width)
    {
        int[] starts = [1, 3, 0, 2];
        return width == 4
            ? [1, 5, 3, 7, 0, 4, 2, 6]
            : [.. starts.SelectMany(start => Enumerable.Range(0, 8 / width).Select(i => start + (4 * i)))];
    }

    private static Tensor Reorder(Tensor bytes, int width, int[] order)
    {
        Tensor words = bytes.reshape(-1, 4).flip(1).flatten();
        Tensor fields = Split(words, width).reshape(-1, order.Length);
        Tensor index = tensor(order, ScalarType.Int64, bytes.device);
        return Join(fields.index_select(1, index).flatten(), width).reshape(-1, 4).flip(1).flatten();
    }

    private static Tensor Join(Tensor fields, int width)
    {
        using Tensor weights = tensor(Shifts(width).Select(shift => 1 << shift).ToArray(), ScalarType.Int32, fields.device);
        return (fields.reshape(-1, 8 / width) * weights).sum(dim: 1).to_type(ScalarType.Int32);
    }

    private static Tensor Split(Tensor bytes, int width)
    {
        using Tensor shifts = tensor(Shifts(width), ScalarType.Int32, bytes.device);
        return bytes.reshape(-1, 1).bitwise_right_shift(shifts).bitwise_and((1 << width) - 1).flatten();
    }

    private static int[] Shifts(int width) => [.. Enumerable.Range(1, 8 / width).Select(i => 8 - (width * i))];

    private static void CheckBits(int bits)
    {
        if (bits is < 3 or > 7)
        {
            throw new QuantizationException($"Tensor-core packing got codes of {bits} bits: expected 3 to 7.");
        }
    }
}
