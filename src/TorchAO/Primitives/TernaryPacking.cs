using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>The codes −1, 0 and 1 as 0, 1 and 2, four in a byte, the first in the highest bits.</summary>
/// <remarks>
/// torchao's <c>BitnetTensor</c>. Weights of <c>BitNetWeightOnlyConfig</c> are stored in another order of values, two's complement, as
/// torchao's training and inference of BitNet have them.
/// </remarks>
public static class TernaryPacking
{
    private const int Bits = 2;
    private const int Offset = 1;

    /// <summary>Packs codes.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>, int8, each −1, 0 or 1.</param>
    /// <returns>Bytes <c>[N, ⌈K / 4⌉]</c>; what is left of a row's last byte is zero. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The shape or the type does not fit, or a code is none of the three.</exception>
    public static Tensor Pack(Tensor codes)
    {
        ArgumentNullException.ThrowIfNull(codes);
        if (codes.dim() != 2 || codes.dtype != ScalarType.Int8)
        {
            throw new QuantizationException(
                $"ternary packing: codes are {codes.dtype} [{string.Join(", ", codes.shape)}], expected int8 [N, K]; see TernaryQuantization.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        long others = codes.lt(-1).logical_or(codes.gt(1)).count_nonzero().item<long>();
        if (others > 0)
        {
            throw new QuantizationException($"ternary packing: {others} of {codes.numel()} codes are not -1, 0 or 1; see TernaryQuantization.");
        }

        return BitStreamRows.Pack((codes + Offset).to_type(ScalarType.Byte), Bits).MoveToOuterDisposeScope();
    }

    /// <summary>Undoes <see cref="Pack"/>.</summary>
    /// <param name="packed">Bytes <c>[N, ⌈K / 4⌉]</c>.</param>
    /// <param name="columns">K, the count of codes in a row.</param>
    /// <returns>Codes <c>[N, K]</c>, int8. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The shape or the type does not fit, or two bits are 3, which is no code.</exception>
    public static Tensor Unpack(Tensor packed, long columns)
    {
        ArgumentNullException.ThrowIfNull(packed);
        if (packed.dim() != 2 || packed.dtype != ScalarType.Byte || columns < 0 || packed.size(1) != BitStreamRows.RowBytes(columns, Bits))
        {
            throw new QuantizationException(
                $"ternary packing: packed codes are {packed.dtype} [{string.Join(", ", packed.shape)}], expected uint8 " +
                $"[N, {BitStreamRows.RowBytes(columns, Bits)}] for {columns} codes a row.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = BitStreamRows.Unpack(packed, Bits, columns).to_type(ScalarType.Int8) - Offset;
        long others = codes.gt(1).count_nonzero().item<long>();
        return others == 0
            ? codes.MoveToOuterDisposeScope()
            : throw new QuantizationException(
                $"ternary packing: {others} of {codes.numel()} codes are 3, expected 0, 1 or 2; the bytes are of another packing.");
    }
}
