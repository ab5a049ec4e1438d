using TorchAO.Runtime.Cuda;

namespace TorchAO.Kernels.Cuda;

/// <summary>A kernel with its arguments settled, one of the steps of a recorded graph.</summary>
public interface ICudaLaunch
{
    /// <summary>Launches it on a stream, behind whatever was launched before. Does not wait.</summary>
    /// <param name="stream">The stream.</param>
    void Launch(CudaStream stream);
}
