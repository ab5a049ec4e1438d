using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Two 4-bit codes in a byte, from neighbouring rows of a column: row 2r in the low half, row 2r + 1 in the high half.</summary>
/// <remarks>
/// For kernels that walk down the columns of a transposed weight <c>[K, N]</c>, so that a byte holds neighbours along K.
/// torchao's <c>pack_2xint4</c>.
/// </remarks>
public static class RowPairPacking
{
    private const int High = 16; // what a code is worth in the high half

    /// <summary>Packs codes.</summary>
    /// <param name="codes">Codes <c>[K, N]</c> from 0 to 15, uint8; K even.</param>
    /// <returns>Bytes <c>[K / 2, N]</c>. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The shape or the type does not fit, or a code is above 15.</exception>
    public static Tensor Pack(Tensor codes)
    {
        ArgumentNullException.ThrowIfNull(codes);
        if (codes.dim() != 2 || codes.size(0) % 2 != 0 || codes.dtype != ScalarType.Byte)
        {
            throw new QuantizationException(
                $"row pairs: codes are {codes.dtype} [{string.Join(", ", codes.shape)}], expected uint8 [K, N] with K even; add a row of zeros.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (codes.numel() > 0 && codes.max().item<byte>() is >= High and byte greatest)
        {
            throw new QuantizationException($"row pairs: the greatest code is {greatest}, expected 0 to 15; quantize to uint4 first.");
        }

        Tensor pairs = codes.reshape(codes.size(0) / 2, 2, codes.size(1));
        return (pairs.select(1, 0) + (pairs.select(1, 1) * High)).MoveToOuterDisposeScope();
    }

    /// <summary>Undoes <see cref="Pack"/>.</summary>
    /// <param name="packed">Bytes <c>[K / 2, N]</c>.</param>
    /// <returns>Codes <c>[K, N]</c>, uint8. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The shape or the type does not fit.</exception>
    public static Tensor Unpack(Tensor packed)
    {
        ArgumentNullException.ThrowIfNull(packed);
        if (packed.dim() != 2 || packed.dtype != ScalarType.Byte)
        {
            throw new QuantizationException(
                $"row pairs: packed codes are {packed.dtype} [{string.Join(", ", packed.shape)}], expected uint8 [K / 2, N].");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor low = packed.bitwise_and(tensor((byte)(High - 1), device: packed.device));
        Tensor high = packed.bitwise_right_shift(tensor((byte)4, device: packed.device));
        return stack([low, high], dim: 1).reshape(packed.size(0) * 2, packed.size(1)).MoveToOuterDisposeScope();
    }
}
