using TorchAO.Runtime.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>What launchers ask first, and how they find their sources, streams and biases.</summary>
internal static class DeviceKernels
{
    /// <summary>Says why kernels that are compiled here cannot take a problem, or <see langword="null"/> if they can.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) => problem switch
    {
        { Device: not DeviceType.CUDA } => $"runs on CUDA devices, not on {problem.Device}",
        { ActivationType: not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16) } =>
            $"takes Float32, BFloat16 or Float16 activations, not {problem.ActivationType}",
        { InFeatures: > int.MaxValue } or { OutFeatures: > int.MaxValue } or { Rows: > int.MaxValue } => "a size is beyond 2³¹ − 1",
        _ => CudaSource.CompilerAbsence,
    };

    /// <summary>Says why the matrix units of Hopper cannot be used here, or <see langword="null"/> if they can.</summary>
    public static string? HopperAbsence => CudaDevice.All.FirstOrDefault(device => device.ComputeCapability != (9, 0)) is { } other
        ? $"is made for compute capability 9.0; {other} has {other.ComputeCapability.Major}.{other.ComputeCapability.Minor}"
        : null;

    /// <summary>Takes a source of this folder under options. Keep the result: each call compiles anew.</summary>
    public static CudaKernel Kernel(string file, string entry, params IEnumerable<string> options) =>
        new(CudaSource.FromResource(typeof(DeviceKernels).Assembly, $"Kernels/Cuda/{file}", options), entry);

    /// <summary>Gets the stream that libtorch uses on a tensor's device.</summary>
    public static CudaStream StreamOf(Tensor tensor) => CudaStream.Current(CudaDevice.Of(tensor));

    /// <summary>Converts a bias to the type of the result, or gives an alias of it.</summary>
    /// <returns>The bias. The caller disposes it.</returns>
    public static Tensor? Bias(Tensor? bias, ScalarType type)
    {
        using Tensor? flat = bias?.contiguous();
        return flat?.to(type);
    }
}
