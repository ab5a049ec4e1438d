using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>Between TorchSharp's types and those of kernel files.</summary>
internal static class CudaNumbers
{
    /// <summary>Finds the name of a type of activations, results or scales, or <see langword="null"/> where kernels do not have it.</summary>
    public static CudaNumber? Find(ScalarType type) => type switch
    {
        ScalarType.BFloat16 => CudaNumber.BFloat16,
        ScalarType.Float16 => CudaNumber.Float16,
        ScalarType.Float32 => CudaNumber.Float32,
        _ => null,
    };

    /// <summary>Gets the name of a type that kernels have.</summary>
    /// <exception cref="ArgumentException">They do not have it.</exception>
    public static CudaNumber Of(ScalarType type) => Find(type) ?? throw new ArgumentException(
        $"CUDA kernels got numbers of type {ScalarTypes.NameOf(type)}, expected BF16, F16 or F32; convert them first.", nameof(type));
}
