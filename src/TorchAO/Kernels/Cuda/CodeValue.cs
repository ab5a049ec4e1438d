namespace TorchAO.Kernels.Cuda;

/// <summary>What number a code stands for, before its scale.</summary>
internal enum CodeValue
{
    /// <summary>The byte as a signed integer.</summary>
    Signed = 1,

    /// <summary>The code less its middle, or less a zero point that is a code.</summary>
    Unsigned = 2,

    /// <summary>An entry of a table.</summary>
    Table = 3,

    /// <summary>A run of entries of a codebook.</summary>
    Codebook = 4,

    /// <summary>float8 e4m3fn.</summary>
    Float8E4M3 = 5,

    /// <summary>float8 e5m2.</summary>
    Float8E5M2 = 6,
}
