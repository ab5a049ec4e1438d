using TorchAO.Tensors;

namespace TorchAO.Formats.UIntX;

/// <summary>The size of a weight, known before it is quantized.</summary>
internal static class UIntXSizes
{
    /// <summary>Computes the bytes of all components.</summary>
    /// <param name="weight">The weight before it is quantized; a scale has its type.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="groupSize">Input features that share a scale.</param>
    /// <param name="zeroPointBytes">Bytes of a zero point, 0 where there is none.</param>
    public static long Bytes(in WeightFacts weight, int bits, long groupSize, long zeroPointBytes) =>
        weight.OutFeatures * (ShardPacking.RowBytes(weight.InFeatures, bits)
            + (weight.InFeatures / groupSize * (weight.ElementBytes + zeroPointBytes)));
}
