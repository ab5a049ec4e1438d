using System.Collections.Concurrent;
using TorchAO.Runtime.Cuda;

namespace TorchAO.Kernels.Cuda;

/// <summary>The kernels of <c>tokens.cu</c>.</summary>
internal static class CudaTokens
{
    private static readonly ConcurrentDictionary<(string Options, string Entry), CudaKernel> Kernels = new();
    private static readonly Lazy<CudaSource> Source = new(
        () => CudaSource.FromResource(typeof(CudaTokens).Assembly, "Kernels/Cuda/tokens.cu"));

    /// <summary>Gets a kernel for some types.</summary>
    public static CudaKernel Kernel(string entry, CudaNumber activation, int table, CudaNumber scale, CudaZeroPoint zeroPoint)
    {
        string options = $"-DACT={(int)activation} -DTABLE={table} -DSCALE={(int)scale} -DZERO={(int)zeroPoint}";
        return Kernels.GetOrAdd((options, entry), key => new CudaKernel(Source.Value.With(key.Options.Split(' ')), key.Entry));
    }
}
