namespace TorchAO.Kernels.Cuda;

/// <summary>How kernel files call the types of numbers in memory: the values of their <c>TYPE_*</c>.</summary>
internal enum CudaNumber
{
    BFloat16 = 1,
    Float16 = 2,
    Float32 = 3,

    /// <summary>Of scales only: exponents of two in a byte (e8m0).</summary>
    Exponent = 4,
}
