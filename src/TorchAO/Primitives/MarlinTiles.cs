using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>What Marlin's packings share: tiles of 16 × 16 codes in the order of tensor-core fragments, eight codes a word.</summary>
/// <remarks>
/// Frantar et al. 2024, "MARLIN" (arXiv:2408.11743), section 3.4. Four tiles side by side, 1024 codes, are one piece: a thread
/// of the 32 of a warp finds all that it multiplies in four words that lie together, and one load of 16 bytes fetches them.
/// </remarks>
internal static class MarlinTiles
{
    /// <summary>Codes in a word.</summary>
    public const int WordCodes = 8;

    /// <summary>The edge of a tile.</summary>
    public const int Edge = 16;

    /// <summary>Codes of four tiles.</summary>
    public const int Piece = 4 * Edge * Edge;

    private const long WordValues = 1L << 32;

    /// <summary>Packs codes.</summary>
    /// <param name="codes">Codes <c>[N, K]</c> of any integer type, of which the low four bits count; N a multiple of 64, K of 16.</param>
    /// <param name="order">Where in a piece of four tiles, row after row of input features, each packed code comes from.</param>
    /// <returns>int32 <c>[K / 16, 2 N]</c>. The caller disposes it.</returns>
    public static Tensor Pack(Tensor codes, int[] order)
    {
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (codes.size(0), codes.size(1));
        Tensor tiles = codes.reshape(n / Edge, Edge, k / Edge, Edge).permute(2, 0, 3, 1).reshape(-1, Piece);
        Tensor ordered = tiles.index_select(1, Index(order, codes.device)).to(ScalarType.Int64)
            .bitwise_and(tensor(15L, device: codes.device)).reshape(-1, WordCodes);
        Tensor words = (ordered * Places(codes.device)).sum(dim: 1);

        // A word whose last code is 8 or more is negative as an int32.
        Tensor signed = words - (words.ge(WordValues / 2).to(ScalarType.Int64) * WordValues);
        return signed.to(ScalarType.Int32).reshape(k / Edge, -1).MoveToOuterDisposeScope();
    }

    /// <summary>Undoes <see cref="Pack"/>.</summary>
    /// <returns>Codes from 0 to 15, int32 <c>[N, K]</c>. The caller disposes it.</returns>
    public static Tensor Unpack(Tensor packed, int[] order)
    {
        using DisposeScope scope = NewDisposeScope();
        (long n, long k) = (packed.size(1) / 2, packed.size(0) * Edge);
        Tensor shifts = tensor((int[])[0, 4, 8, 12, 16, 20, 24, 28], device: packed.device);
        Tensor ordered = packed.reshape(-1, 1).bitwise_right_shift(shifts).bitwise_and(tensor(15, device: packed.device));
        Tensor tiles = ordered.reshape(-1, Piece).index_select(1, Index(Inverse(order), packed.device));
        return tiles.reshape(k / Edge, n / Edge, Edge, Edge).permute(1, 3, 0, 2).reshape(n, k).MoveToOuterDisposeScope();
    }

    /// <summary>Reorders a parameter a row, block of rows by block, and turns groups into rows.</summary>
    /// <param name="scale"><c>[N, G]</c>; N a multiple of the order's length.</param>
    /// <param name="order">Where in a block each comes from.</param>
    /// <returns><c>[G, N]</c>. The caller disposes it.</returns>
    public static Tensor PackScales(Tensor scale, int[] order)
    {
        using DisposeScope scope = NewDisposeScope();
        return scale.t().reshape(-1, order.Length).index_select(1, Index(order, scale.device))
            .reshape(scale.size(1), scale.size(0)).MoveToOuterDisposeScope();
    }

    /// <summary>Undoes <see cref="PackScales"/>.</summary>
    public static Tensor UnpackScales(Tensor packed, int[] order)
    {
        using DisposeScope scope = NewDisposeScope();
        return packed.reshape(-1, order.Length).index_select(1, Index(Inverse(order), packed.device))
            .reshape(packed.shape).t().contiguous().MoveToOuterDisposeScope();
    }

    private static int[] Inverse(int[] order)
    {
        int[] inverse = new int[order.Length];
        for (int i = 0; i < order.Length; i++)
        {
            inverse[order[i]] = i;
        }

        return inverse;
    }

    private static Tensor Index(int[] order, Device device) => tensor(order, ScalarType.Int64, device);

    private static Tensor Places(Device device) =>
        tensor((long[])[.. Enumerable.Range(0, WordCodes).Select(i => 1L << (4 * i))], device: device);
}
