using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>What a pass over a weight made, as a format stores it.</summary>
/// <param name="Codes">N rows of packed codes.</param>
/// <param name="Scale">Scales <c>[N, K / group]</c>, or <c>[1, 1]</c>.</param>
/// <param name="ZeroPoint">Zero points in the shape of the scales, or <see langword="null"/>.</param>
internal sealed record WeightCodes(Tensor Codes, Tensor Scale, Tensor? ZeroPoint) : IDisposable
{
    /// <summary>Disposes the tensors, where nobody takes them.</summary>
    public void Dispose()
    {
        Codes.Dispose();
        Scale.Dispose();
        ZeroPoint?.Dispose();
    }
}
