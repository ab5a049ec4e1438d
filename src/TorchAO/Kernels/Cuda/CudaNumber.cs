using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>How kernel files call the types of numbers in memory: the values of their <c>TYPE_*</c>.</summary>
internal enum CudaNumber
{
    Float32 = 0,
    BFloat16 = 1,
    Float16 = 2,
}

/// <summary>Between TorchSharp's types and those of kernel files.</summary>
internal static class CudaNumbers
{
    /// <summary>Finds the name of a type, or <see langword="null"/> where kernels do not have it.</summary>
    public static CudaNumber? Find(ScalarType type) => type switch
    {
        ScalarType.Float32 => CudaNumber.Float32,
        ScalarType.BFloat16 => CudaNumber.BFloat16,
        ScalarType.Float16 => CudaNumber.Float16,
        _ => null,
    };

    /// <summary>Gets the name of a type that kernels have.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They do not have it.</exception>
    public static CudaNumber Of(ScalarType type) => Find(type) ?? throw new ArgumentOutOfRangeException(
        nameof(type), type, "expected Float32, BFloat16 or Float16.");
}
