using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Half-quadratic quantization of a weight in groups along its rows, for every format with unsigned codes.</summary>
/// <remarks>Codes and parameters come out of one solver, so a config that asks for it bypasses the grid's own choice.</remarks>
internal static class HqqRows
{
    /// <summary>Chooses codes and parameters together.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="groupSize">Input features that share a scale; divides K.</param>
    /// <returns>Codes, uint8 <c>[N, K]</c>, and scales and zero points <c>[N, K / group]</c> in the weight's type; a zero point
    /// is the value of the middle code. The caller disposes all three.</returns>
    public static (Tensor Codes, QParams QParams) Quantize(Tensor weight, int bits, long groupSize)
    {
        (Tensor codes, QParams flat) = HqqQuantization.Quantize(
            weight, new HqqOptions { Bits = bits, GroupSize = groupSize, ComputeType = weight.dtype });
        using (flat)
        {
            long[] shape = [weight.size(0), weight.size(1) / groupSize];
            return (codes, new QParams(flat.Scale.reshape(shape), flat.ZeroPoint!.reshape(shape)));
        }
    }
}
