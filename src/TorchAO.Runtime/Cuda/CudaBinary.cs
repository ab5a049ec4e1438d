namespace TorchAO.Runtime.Cuda;

/// <summary>Machine code of a source for one architecture.</summary>
/// <param name="Architecture">The architecture, such as <c>sm_90a</c>; the code runs on no other.</param>
/// <param name="Code">A cubin, which is an ELF file.</param>
/// <param name="Log">The compiler's remarks; empty where it had none, or where the code came from the cache.</param>
public sealed record CudaBinary(string Architecture, ReadOnlyMemory<byte> Code, string Log);
