using System.Runtime.InteropServices;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>What turns sums over activation codes into sums over activations: a scale a row, and perhaps a zero point, which multiplies
/// the sum of each weight row. The default value leaves sums as they are. Holds addresses.</summary>
/// <param name="scale">A factor an activation row, or null.</param>
/// <param name="zero">What is taken off each activation code before the factor, a row; or null.</param>
/// <param name="rowSum">Sums of the weight rows' values <c>[N]</c>; read where there are zero points.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct GemvShift(float* scale, float* zero, float* rowSum)
{
    /// <summary>Finishes a sum.</summary>
    /// <param name="sum">Σ code · weight.</param>
    /// <param name="m">The activation row.</param>
    /// <param name="n">The weight row.</param>
    public float Apply(float sum, int m, long n)
    {
        float value = zero == null ? sum : sum - (zero[m] * rowSum[n]);
        return scale == null ? value : value * scale[m];
    }
}
