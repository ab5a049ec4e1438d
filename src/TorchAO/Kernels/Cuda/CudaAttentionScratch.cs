using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>Room in which ranges of keys leave their results; layers share it, since they run one after the other.</summary>
/// <param name="Partial">float32.</param>
/// <param name="Arrived">int32, zeros between launches.</param>
/// <param name="Splits">The most ranges.</param>
public sealed record CudaAttentionScratch(Tensor Partial, Tensor Arrived, int Splits) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        Partial.Dispose();
        Arrived.Dispose();
    }
}
