using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8;

/// <summary>What the configs of this format share.</summary>
internal static class Float8Codes
{
    // Tensor cores take rows and columns in pieces of sixteen bytes.
    private const long ProductMultiple = 16;

    /// <summary>Demands one of the two code types.</summary>
    /// <exception cref="QuantizationException">It is another.</exception>
    public static void Require(string option, ScalarType type)
    {
        if (type is not (ScalarTypes.Float8E4M3 or ScalarTypes.Float8E5M2))
        {
            throw new QuantizationException($"{option} is {ScalarTypes.NameOf(type)}, expected F8_E4M3 or F8_E5M2; take " +
                "ScalarTypes.Float8E4M3 unless the checkpoint asks for the other.");
        }
    }

    /// <summary>Says why a GPU cannot multiply codes by codes for a weight, or <see langword="null"/> if it can.</summary>
    public static string? ReasonToSkipProduct(in WeightFacts weight) =>
        weight.Device == DeviceType.CUDA && (weight.InFeatures % ProductMultiple != 0 || weight.OutFeatures % ProductMultiple != 0)
            ? $"the weight [{weight.OutFeatures}, {weight.InFeatures}] has sides that are no multiples of {ProductMultiple}, which " +
              "float8 products on a GPU ask for; use Float8WeightOnlyConfig for this layer"
            : null;

    /// <summary>Counts the bytes of a weight.</summary>
    public static long Bytes(in WeightFacts weight, Float8Granularity granularity, long scaleBytes) =>
        (weight.OutFeatures * weight.InFeatures)
        + ((granularity == Float8Granularity.PerRow ? weight.OutFeatures : 1) * scaleBytes);
}
