using System.Collections.Concurrent;
using TorchAO.Runtime.Cuda;

namespace TorchAO.Kernels.Cuda;

/// <summary>The kernels of <c>tokens.cu</c>.</summary>
internal static class CudaTokens
{
    private static readonly ConcurrentDictionary<(string Options, string Entry), CudaKernel> Kernels = new();

    /// <summary>Gets a kernel for some types.</summary>
    public static CudaKernel Kernel(string entry, CudaNumber activation, int table, CudaNumber scale, CudaZeroPoint zeroPoint)
    {
        string options = $"-DACT={(int)activation} -DTABLE={table} -DSCALE={(int)scale} -DZERO={(int)zeroPoint}";
        return Kernels.GetOrAdd((options, entry), static key => DeviceKernels.Kernel("tokens.cu", key.Entry, key.Options.Split(' ')));
    }
}
