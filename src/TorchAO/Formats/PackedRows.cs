using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Rows of codes without gaps, a few at a time, for the formats that store them so.</summary>
internal static class PackedRows
{
    /// <summary>Packs codes.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>, uint8, each below <c>2^bits</c>.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <returns>Bytes <c>[N, ⌈K · bits / 8⌉]</c>. The caller disposes them.</returns>
    public static Tensor Pack(Tensor codes, int bits) =>
        RowBlocks.Compute(codes, rows => BitStreamRows.Pack(rows, bits), BitStreamRows.IsInOnePass(codes));

    /// <summary>Unpacks codes.</summary>
    /// <param name="packed">Bytes as <see cref="Pack"/> makes them.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="count">The count of codes in a row.</param>
    /// <returns>Codes <c>[N, count]</c>, uint8. The caller disposes them.</returns>
    public static Tensor Unpack(Tensor packed, int bits, long count) =>
        RowBlocks.Compute(packed.size(0), count, (start, rows) =>
        {
            using Tensor part = packed.narrow(0, start, rows);
            return BitStreamRows.Unpack(part, bits, count);
        });

    /// <summary>Computes the values of packed codes with a scale, or some, a row.</summary>
    /// <param name="packed">Bytes as <see cref="Pack"/> makes them.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="count">The count of codes in a row.</param>
    /// <param name="scale">Scales <c>[N, …]</c>.</param>
    /// <param name="step">Computes the values of some rows from their codes and scales.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor Dequantize(Tensor packed, int bits, long count, Tensor scale, Func<Tensor, Tensor, Tensor> step) =>
        RowBlocks.Compute(packed.size(0), count, (start, rows) =>
        {
            using Tensor part = packed.narrow(0, start, rows);
            using Tensor codes = BitStreamRows.Unpack(part, bits, count);
            using Tensor scales = scale.narrow(0, start, rows);
            return step(codes, scales);
        });

    /// <summary>Cuts a range of codes out of every row.</summary>
    /// <param name="weight">The weight that the codes belong to, for its shape and for messages.</param>
    /// <param name="packed">Its packed codes.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="start">The first code.</param>
    /// <param name="length">The count of codes.</param>
    /// <param name="codes">The count of codes in a row, where it is not that of the input features.</param>
    /// <returns>Bytes of the range, a copy. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The range begins or ends within a byte.</exception>
    public static Tensor NarrowFeatures(
        QuantizedTensor weight, Tensor packed, int bits, long start, long length, long? codes = null)
    {
        int step = BitStreamRows.CodesPerStep(bits);
        bool endsInside = start + length < (codes ?? weight.Shape[1]);
        if (start % step != 0 || (endsInside && length % step != 0))
        {
            throw new QuantizationException(
                $"{weight.Format} weight [{weight.Shape[0]}, {weight.Shape[1]}]: input features {start} to {start + length - 1} split a " +
                $"byte; begin and end at multiples of {step}.");
        }

        using Tensor part = packed.narrow(1, start * bits / 8, BitStreamRows.RowBytes(length, bits));
        return part.clone();
    }
}
