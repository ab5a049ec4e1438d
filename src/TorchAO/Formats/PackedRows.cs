using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Cuts through rows of codes without gaps, for the formats that store them so.</summary>
internal static class PackedRows
{
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
