using System.Runtime.InteropServices;
using TorchAO.Runtime.Cuda;

namespace TorchAO.Runtime.Tests.Cuda.Kernels;

/// <summary>The kernels of <c>launch.cu</c>.</summary>
internal static class LaunchKernels
{
    public static CudaSource Source { get; } = CudaSource.FromResource(typeof(LaunchKernels).Assembly, "Cuda/Kernels/launch.cu");

    public static CudaKernel Scale { get; } = new(Source, "scale");

    public static CudaKernel ScaleOverlapped { get; } = new(Source, "scale_overlapped");

    public static CudaKernel ReverseShared { get; } = new(Source, "reverse_shared");

    public static CudaKernel ClusterRank { get; } = new(Source, "cluster_rank");

    public static CudaKernel BlockSum { get; } = new(Source, "block_sum");

    [StructLayout(LayoutKind.Sequential)]
    public readonly record struct Arguments(nint X, nint Y, long Count, float Factor);
}
