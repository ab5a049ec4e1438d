using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>The numbers under which the sources of this folder know types, and what all their launchers ask first.</summary>
internal static class KernelNumbers
{
    /// <summary>The number of scales that are exponents (e8m0); none of <see cref="Of"/>.</summary>
    public const int Exponents = 4;

    /// <summary>Gets the number of a type of activations, results or scales.</summary>
    /// <exception cref="ArgumentException">The kernels have no such type.</exception>
    public static int Of(ScalarType type) => type switch
    {
        ScalarType.BFloat16 => 1,
        ScalarType.Float16 => 2,
        ScalarType.Float32 => 3,
        _ => throw new ArgumentException(
            $"CUDA kernels got numbers of type {ScalarTypes.NameOf(type)}, expected BF16, F16 or F32; convert them first.", nameof(type)),
    };

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

    /// <summary>Takes a source of this folder under options.</summary>
    public static CudaKernel Kernel(string file, string entry, params IEnumerable<string> options) =>
        new(CudaSource.FromResource(typeof(KernelNumbers).Assembly, $"Kernels/Cuda/Gemm/{file}", options), entry);

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
