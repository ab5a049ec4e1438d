namespace TorchAO.Kernels.Cuda;

/// <summary>Where a row's codes lie in its bytes.</summary>
internal enum CodeLayout
{
    /// <summary>A code a byte.</summary>
    Bytes = 1,

    /// <summary>Two a byte, the even one in the low half.</summary>
    Nibbles = 2,

    /// <summary>Without gaps, the first code in the highest bits.</summary>
    Stream = 3,

    /// <summary>In shards of four, two and one bit, the lowest bits first, each cut into as many slices as codes share a byte.</summary>
    Shards = 4,
}
