using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Packs 4-bit weights with 2:4 sparsity in the order in which Marlin's sparse kernel reads them, and back.</summary>
/// <remarks>
/// Of every four consecutive codes of a row at most two stand for a value; those two are kept, with their places. Frantar et al.
/// 2024, "MARLIN" (arXiv:2408.11743), section 4. torchao's <c>pack_to_marlin_24</c> and <c>unpack_from_marlin_24</c> for 4 bits, bit
/// for bit, except that torchao drops a third value of four without a word; it is an error here.
/// </remarks>
public static class MarlinSparsePacking
{
    private const int Zero = 8;
    private const int Quad = 4;
    private const int ScaleBlock = 64;
    private const int RowBlock = 64;
    private const int FeatureBlock = 128;

    private static readonly int[] Order = MakeOrder();

    // The places that each pattern of codes that are not zero keeps (first code in bit 0), the first in the low two bits.
    private static readonly long[] KeptPlaces = [.. Enumerable.Range(0, 16).Select(Places)];

    private static readonly int[] GroupedScaleOrder =
        [.. Enumerable.Range(0, ScaleBlock).Select(i => (i / 8 * 8) + (i % 8 / 2) + (4 * (i % 2)))];

    private static readonly int[] RowScaleOrder = [.. Enumerable.Range(0, ScaleBlock)];

    // A row's number in bits is 543 210 and a word's of metadata ends in c; the sparse tensor cores find them where the bits stand
    // as 1 543 0 c 2. As axes: 64 rows, bits 543, 2, 1, 0; words by pairs, c.
    private static readonly long[] MetadataAxes = [5, 0, 3, 1, 4, 6, 2];
    private static readonly long[] MetadataAxesBack = [1, 3, 6, 2, 4, 0, 5];

    /// <summary>Packs codes and scales.</summary>
    /// <param name="codes">Codes from 0 to 15, uint8 <c>[N, K]</c>, 8 for zero; N a multiple of 64, K of 128.</param>
    /// <param name="scale">Scales <c>[N, G]</c>, groups of 32, 64 or 128, or one a row.</param>
    /// <returns>The packed weight on the same device. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">Shapes do not fit, or a third code of four is not zero; the message says where.</exception>
    public static MarlinSparseWeight Pack(Tensor codes, Tensor scale)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(scale);
        if (codes.dim() != 2 || codes.dtype != ScalarType.Byte)
        {
            throw new QuantizationException(
                $"Marlin's sparse packing: codes are {codes.dtype} [{string.Join(", ", codes.shape)}], expected a matrix of uint8.");
        }

        (long n, long k) = (codes.size(0), codes.size(1));
        RequireTiles(n, k);
        RequireScales(scale, n, k, rows: 0);
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor quads = codes.reshape(n, k / Quad, Quad);
        Tensor places = ChoosePlaces(quads);
        Tensor kept = quads.gather(2, Split(places)).reshape(n, k / 2);
        return new MarlinSparseWeight(
            MarlinTiles.Pack(kept, Order).MoveToOuterDisposeScope(),
            MarlinTiles.PackScales(scale, ScaleOrder(scale.size(1))).MoveToOuterDisposeScope(),
            PackMetadata(places).MoveToOuterDisposeScope());
    }

    /// <summary>Undoes <see cref="Pack"/>.</summary>
    /// <param name="packed">A packed weight.</param>
    /// <returns>Codes, uint8 <c>[N, K]</c>, and scales <c>[N, G]</c>. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">Shapes or types do not fit.</exception>
    public static (Tensor Codes, Tensor Scale) Unpack(MarlinSparseWeight packed)
    {
        ArgumentNullException.ThrowIfNull(packed);
        if (packed.Codes.dim() != 2 || packed.Codes.dtype != ScalarType.Int32 || packed.Metadata.dtype != ScalarType.Int16
            || !packed.Metadata.shape.AsSpan().SequenceEqual(packed.Codes.shape))
        {
            throw new QuantizationException(
                $"Marlin's sparse packing: words are {packed.Codes.dtype} [{string.Join(", ", packed.Codes.shape)}] and metadata " +
                $"{packed.Metadata.dtype} [{string.Join(", ", packed.Metadata.shape)}], expected Int32 and Int16 of one shape.");
        }

        (long n, long k) = (packed.Codes.size(1) / 2, packed.Codes.size(0) * 2 * MarlinTiles.Edge);
        RequireTiles(n, k);
        RequireScales(packed.Scale, n, k, rows: 1);
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor kept = MarlinTiles.Unpack(packed.Codes, Order).to(ScalarType.Byte).reshape(n, k / Quad, 2);
        Tensor places = Split(UnpackMetadata(packed.Metadata, n, k));
        Tensor codes = full([n, k / Quad, Quad], Zero, dtype: ScalarType.Byte, device: kept.device).scatter(2, places, kept);
        return (
            codes.reshape(n, k).MoveToOuterDisposeScope(),
            MarlinTiles.UnpackScales(packed.Scale, ScaleOrder(packed.Scale.size(0))).MoveToOuterDisposeScope());
    }

    // [N, K / 4], int64: two places of two bits.
    private static Tensor ChoosePlaces(Tensor quads)
    {
        Tensor present = quads.ne(Zero).to(ScalarType.Int64);
        Tensor surplus = present.sum(dim: 2).gt(2);
        if (surplus.any().item<bool>())
        {
            Tensor where = surplus.nonzero();
            throw new QuantizationException(
                $"Marlin's sparse packing: {where.size(0)} of {surplus.numel()} fours of codes have more than two that are not zero, " +
                $"the first in row {where[0, 0].item<long>()} at input feature {Quad * where[0, 1].item<long>()}, expected two at most; " +
                "prune the weight to 2:4 before it is quantized, and quantize it symmetrically.");
        }

        Tensor pattern = (present * tensor((long[])[1, 2, 4, 8], device: quads.device)).sum(dim: 2);
        return tensor(KeptPlaces, device: quads.device).index_select(0, pattern.flatten()).reshape(pattern.shape);
    }

    // [..., 2], int64: the two places apart.
    private static Tensor Split(Tensor places)
    {
        Tensor second = places.div(4, rounding_mode: RoundingMode.floor);
        return stack([places - (second * 4), second], dim: 2);
    }

    private static Tensor PackMetadata(Tensor places)
    {
        (long n, long words) = (places.size(0), places.size(1) / Quad);
        Tensor weights = tensor((long[])[1, 16, 256, 4096], device: places.device);
        Tensor unsigned = (places.reshape(n, words, Quad) * weights).sum(dim: 2);
        Tensor signed = unsigned - (unsigned.ge(1 << 15).to(ScalarType.Int64) * (1 << 16));
        return signed.to(ScalarType.Int16).reshape(n / RowBlock, 8, 2, 2, 2, words / 2, 2).permute(MetadataAxes).reshape(words / 2, 2 * n);
    }

    private static Tensor UnpackMetadata(Tensor metadata, long n, long k)
    {
        Tensor words = metadata.reshape(k / 32, n / RowBlock, 2, 8, 2, 2, 2).permute(MetadataAxesBack).reshape(n, k / 16, 1)
            .to(ScalarType.Int64);
        Tensor shifts = tensor((long[])[0, 4, 8, 12], device: metadata.device);
        return words.bitwise_right_shift(shifts).bitwise_and(tensor(15L, device: metadata.device)).reshape(n, k / Quad);
    }

    // The first place is 0, 1 or 2 and the second lies behind it; where fewer than two codes are not zero, a zero is kept too.
    private static long Places(int pattern)
    {
        bool hasFirst = (pattern & 1) != 0, hasSecond = (pattern & 2) != 0, hasFourth = (pattern & 8) != 0;
        int first = hasFirst ? 0 : hasSecond ? 1 : 2;
        int second = hasFirst && hasSecond ? 1 : (!hasFirst && !hasSecond) || hasFourth ? 3 : 2;
        return first | (second << 2);
    }

    // The weight is the left operand of the sparse product, so that a thread has four input features of two columns; its four words
    // belong to four neighbouring columns.
    private static int[] MakeOrder()
    {
        int[] features = [0, 1, 8, 9];
        int[] interleave = [0, 2, 4, 6, 1, 3, 5, 7];
        List<int> order = [];
        for (int thread = 0; thread < 32; thread++)
        {
            int column = thread / 4;
            int start = (256 * (column / 2)) + (8 * (column % 2));
            for (int word = 0; word < 4; word++)
            {
                order.AddRange(interleave.Select(i =>
                    start + (MarlinTiles.Edge * ((2 * (thread % 4)) + features[i % 4])) + (4 * (i / 4)) + word));
            }
        }

        return [.. order];
    }

    private static int[] ScaleOrder(long groups) => groups > 1 ? GroupedScaleOrder : RowScaleOrder;

    private static void RequireTiles(long n, long k)
    {
        if (n % RowBlock != 0 || k % FeatureBlock != 0 || n == 0 || k == 0)
        {
            throw new QuantizationException(
                $"Marlin's sparse packing got a weight [{n}, {k}], expected N a multiple of {RowBlock} and K of {FeatureBlock}; " +
                "pad the layer or keep the codes as they are.");
        }
    }

    private static void RequireScales(Tensor scale, long n, long k, int rows)
    {
        bool fits = scale.dim() == 2 && scale.size(rows) == n
            && (scale.size(1 - rows) == 1 || (scale.size(1 - rows) > 0 && k % scale.size(1 - rows) == 0
                && k / scale.size(1 - rows) is 32 or 64 or 128));
        if (!fits)
        {
            throw new QuantizationException(
                $"Marlin's sparse packing of a weight [{n}, {k}]: scales have shape [{string.Join(", ", scale.shape)}], expected {n} " +
                "rows (columns, once packed) of one scale, or of one for each 32, 64 or 128 input features.");
        }
    }
}
