using System.Collections.Concurrent;
using TorchAO.Runtime.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>Launches <c>quantize.cu</c>: codes, scales and zero points of a weight on a CUDA device, packed, bit for bit those of the
/// same weight on the CPU.</summary>
internal static class WeightCoder
{
    // Enough to fill any device; each takes rows in turn.
    private const int RangeBlocks = 1024;

    private static readonly ConcurrentDictionary<(string Entry, PassVariant Variant), CudaKernel> Kernels = new();

    /// <summary>Says why tensor operators quantize a weight, or <see langword="null"/> if a pass does.</summary>
    /// <param name="weight">The weight <c>[N, K]</c> in bfloat16, float16 or float32.</param>
    public static string? ReasonToRefuse(Tensor weight) => weight switch
    {
        { device_type: not DeviceType.CUDA } => $"passes run on CUDA devices, not on {weight.device_type}",
        _ when weight.size(0) > int.MaxValue || weight.size(1) > int.MaxValue / 2 => "a side is beyond 2³⁰",
        _ => CudaSource.CompilerAbsence,
    };

    /// <summary>Quantizes a weight.</summary>
    /// <param name="weight">A weight that <see cref="ReasonToRefuse"/> does not refuse.</param>
    /// <param name="plan">What to make of it.</param>
    /// <returns>Codes and parameters, or <see langword="null"/> where a value of the weight is infinite or NaN. The caller disposes them.</returns>
    public static WeightCodes? Run(Tensor weight, WeightPlan plan)
    {
        using WeightPass pass = WeightPass.Create(weight, plan);
        CudaStream stream = DeviceKernels.StreamOf(weight);
        foreach ((string entry, Dim3 blocks, int threads) in Launches(pass, plan))
        {
            Kernel(entry, pass.Variant).Launch(stream, pass.Settled, blocks, threads);
        }

        using Tensor isWrong = pass.State[1];
        if (isWrong.item<int>() == 0)
        {
            return pass.Result;
        }

        pass.Result.Dispose();
        return null;
    }

    /// <summary>Lists what a pass launches, in order.</summary>
    internal static IEnumerable<(string Entry, Dim3 Blocks, int Threads)> Launches(WeightPass pass, WeightPlan plan)
    {
        if (plan.IsShared && plan.Given is null)
        {
            yield return ("whole_range", Math.Min(pass.Settled.N, RangeBlocks), WeightPass.Threads);
            yield return ("whole_scale", 1, 1);
        }

        yield return ("quantize_rows", pass.Settled.N, WeightPass.Threads);
    }

    private static CudaKernel Kernel(string entry, PassVariant variant) => Kernels.GetOrAdd(
        (entry, variant), static key => DeviceKernels.Kernel(WeightPass.File, key.Entry, key.Variant.Options));
}
