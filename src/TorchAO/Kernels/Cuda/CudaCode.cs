namespace TorchAO.Kernels.Cuda;

/// <summary>The codes of weights that the kernels of few rows decode; the values of <c>CODE_*</c> in their files.</summary>
internal enum CudaCode
{
    /// <summary>16-bit floating point, of the type of the activations.</summary>
    Half = 0,

    /// <summary>Signed bytes.</summary>
    Int8 = 1,

    /// <summary>Two a byte, the even one in the low half, 8 for the value 0.</summary>
    Int4 = 2,

    /// <summary>Float8 with three bits of fraction.</summary>
    E4M3 = 3,

    /// <summary>Float8 with two bits of fraction.</summary>
    E5M2 = 4,
}
