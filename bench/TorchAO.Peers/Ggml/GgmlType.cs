namespace TorchAO.Peers.Ggml;

/// <summary>ggml's numbers of the types of tensors.</summary>
internal enum GgmlType
{
    /// <summary>float32.</summary>
    F32 = 0,

    /// <summary>4 bits, a float16 scale for 32 weights.</summary>
    Q4_0 = 2,

    /// <summary>8 bits, a float16 scale for 32 weights.</summary>
    Q8_0 = 8,

    /// <summary>4 bits, 6-bit scales and minima for 32 weights, in steps of float16 numbers for 256.</summary>
    Q4_K = 12,
}
