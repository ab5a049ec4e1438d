namespace TorchAO.Kernels.Cuda;

/// <summary>What zero points are; the values of <c>ZERO</c> and of <c>zero_kind</c> in kernel files.</summary>
internal enum CudaZeroPoint
{
    /// <summary>There are none: the middle code stands for 0.</summary>
    None = 0,

    /// <summary>The values of the middle code.</summary>
    Value = 1,

    /// <summary>The codes of the value 0, a byte each.</summary>
    Byte = 2,

    /// <summary>The codes of the value 0, an int32 each.</summary>
    Int32 = 3,
}
