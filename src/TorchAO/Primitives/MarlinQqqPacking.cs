using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Packs QQQ weights in the order in which Marlin's kernel for int8 activations reads them, and back.</summary>
/// <remarks>
/// torchao's <c>pack_to_marlin_qqq</c> and <c>unpack_from_marlin_qqq</c>, bit for bit, except that the latter forgets the sign
/// of codes without groups; ours come back as they were. See <see cref="QqqQuantization"/> for what codes and scales mean.
/// </remarks>
public static class MarlinQqqPacking
{
    private const int GroupSize = 128;
    private const int ScaleBlock = 64;

    // Which of a thread's eight codes stand where in its word: with groups even ones first, for one mask takes four bytes out;
    // without, the halves alternate, for a shift brings the other four to the high half of their bytes.
    private static readonly int[] GroupedOrder = Order([0, 2, 4, 6, 1, 3, 5, 7]);
    private static readonly int[] ChannelOrder = Order([4, 0, 5, 1, 6, 2, 7, 3]);

    private static readonly int[] GroupScaleOrder =
        [.. Enumerable.Range(0, ScaleBlock).Select(i => (i / 8) + (8 * (i % 8)))];

    private static readonly int[] ChannelScaleOrder =
        [.. Enumerable.Range(0, 4).SelectMany(i => (int[])[0, 1, 8, 9, 16, 17, 24, 25], (i, offset) => (2 * i) + offset)];

    /// <summary>Packs codes and scales as <see cref="QqqQuantization.Quantize"/> makes them.</summary>
    /// <param name="codes">int32 <c>[N, K]</c>: 0…15 with groups, −7…7 without.</param>
    /// <param name="groupScale">float16 <c>[N, K / 128]</c>; empty with one scale a row.</param>
    /// <param name="channelScale">float32 <c>[N, 1]</c>.</param>
    /// <returns>The packed weight on the same device. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The shapes do not fit the kernel's tiles or each other.</exception>
    public static MarlinQqqWeight Pack(Tensor codes, Tensor groupScale, Tensor channelScale)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(groupScale);
        ArgumentNullException.ThrowIfNull(channelScale);
        RequireMatrix(codes, "codes");
        (long n, long k) = (codes.size(0), codes.size(1));
        RequireTiles(n, k);
        bool isGrouped = groupScale.numel() > 0;
        RequireShape(channelScale, "channel scales", [n, 1]);
        if (isGrouped)
        {
            RequireShape(groupScale, "group scales", [n, k / GroupSize]);
        }

        using IDisposable noGradient = no_grad();
        return new MarlinQqqWeight(
            MarlinTiles.Pack(codes, isGrouped ? GroupedOrder : ChannelOrder),
            isGrouped ? MarlinTiles.PackScales(groupScale, GroupScaleOrder) : groupScale.clone(),
            MarlinTiles.PackScales(channelScale, ChannelScaleOrder));
    }

    /// <summary>Undoes <see cref="Pack"/>.</summary>
    /// <param name="packed">A packed weight.</param>
    /// <returns>Codes, group scales and channel scales as <see cref="Pack"/> got them. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The shapes do not fit the kernel's tiles or each other.</exception>
    public static (Tensor Codes, Tensor GroupScale, Tensor ChannelScale) Unpack(MarlinQqqWeight packed)
    {
        ArgumentNullException.ThrowIfNull(packed);
        RequireMatrix(packed.Codes, "packed codes");
        (long n, long k) = (packed.Codes.size(1) / 2, packed.Codes.size(0) * MarlinTiles.Edge);
        RequireTiles(n, k);
        bool isGrouped = packed.GroupScale.numel() > 0;
        RequireShape(packed.ChannelScale, "channel scales", [1, n]);
        if (isGrouped)
        {
            RequireShape(packed.GroupScale, "group scales", [k / GroupSize, n]);
        }

        using IDisposable noGradient = no_grad();
        using Tensor nibbles = MarlinTiles.Unpack(packed.Codes, isGrouped ? GroupedOrder : ChannelOrder);
        return (
            isGrouped ? nibbles.alias() : Signed(nibbles),
            isGrouped ? MarlinTiles.UnpackScales(packed.GroupScale, GroupScaleOrder) : packed.GroupScale.clone(),
            MarlinTiles.UnpackScales(packed.ChannelScale, ChannelScaleOrder));
    }

    private static Tensor Signed(Tensor nibbles)
    {
        using DisposeScope scope = NewDisposeScope();
        return (nibbles - (nibbles.ge(8).to(ScalarType.Int32) * 16)).MoveToOuterDisposeScope();
    }

    // Thread t of a warp multiplies column t / 4 of each half tile with four consecutive rows, 4 (t mod 4) and on: the fragment
    // of an int8 product of 8 columns and 16 rows.
    private static int[] Order(int[] interleave)
    {
        List<int> order = [];
        for (int thread = 0; thread < 32; thread++)
        {
            for (int tile = 0; tile < 4; tile++)
            {
                int[] fragment =
                [
                    .. Enumerable.Range(0, MarlinTiles.WordCodes).Select(i =>
                        (256 * tile) + (MarlinTiles.Edge * ((4 * (thread % 4)) + (i % 4))) + (thread / 4) + (8 * (i / 4))),
                ];
                order.AddRange(interleave.Select(place => fragment[place]));
            }
        }

        return [.. order];
    }

    private static void RequireMatrix(Tensor tensor, string what)
    {
        if (tensor.dim() != 2 || tensor.dtype is not (ScalarType.Int32 or ScalarType.Int8 or ScalarType.Byte))
        {
            throw new QuantizationException(
                $"Marlin-QQQ packing: {what} are {tensor.dtype} [{string.Join(", ", tensor.shape)}], expected a matrix of integers.");
        }
    }

    private static void RequireTiles(long n, long k)
    {
        bool fits = (n % 64 == 0 && k % 128 == 0) || (n % 128 == 0 && k % 64 == 0);
        if (!fits || n == 0 || k == 0)
        {
            throw new QuantizationException(
                $"Marlin-QQQ packing got a weight [{n}, {k}], expected N a multiple of 64 and K of 128, or N of 128 and K of 64; " +
                "pad the layer or keep the codes as they are.");
        }
    }

    private static void RequireShape(Tensor tensor, string what, long[] shape)
    {
        if (!tensor.shape.AsSpan().SequenceEqual(shape))
        {
            throw new QuantizationException(
                $"Marlin-QQQ packing: {what} have shape [{string.Join(", ", tensor.shape)}], expected " +
                $"[{string.Join(", ", shape)}]; the kernel takes groups of {GroupSize} or one scale a row.");
        }
    }
}
