namespace TorchAO.Runtime.Cuda;

/// <summary>How the copy engine permutes the 16-byte pieces of rows in shared memory, so that columns fall into different banks.</summary>
public enum TensorMapSwizzle
{
    /// <summary>Not at all.</summary>
    None = 0,

    /// <summary>Within 32 bytes.</summary>
    Bytes32 = 1,

    /// <summary>Within 64 bytes.</summary>
    Bytes64 = 2,

    /// <summary>Within 128 bytes.</summary>
    Bytes128 = 3,
}
