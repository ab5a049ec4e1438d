namespace TorchAO.Kernels.Cuda;

/// <summary>How a cache of keys and values stores its rows; the values of <c>CACHE</c> in kernel files.</summary>
public enum CudaCacheCode
{
    /// <summary>Numbers of the type of the activations.</summary>
    Number = 0,

    /// <summary>Signed bytes, a scale a row.</summary>
    Int8 = 1,

    /// <summary>Float8 e4m3, a scale a row.</summary>
    Float8 = 2,

    /// <summary>Two a byte, the first in the high half, a step and a least value a group.</summary>
    Int4 = 3,
}
