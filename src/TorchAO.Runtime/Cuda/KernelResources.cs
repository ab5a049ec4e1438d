namespace TorchAO.Runtime.Cuda;

/// <summary>What a compiled kernel takes of a multiprocessor.</summary>
/// <param name="Registers">Registers a thread.</param>
/// <param name="LocalBytes">Bytes of local memory a thread: spilled registers and arrays; 0 is best.</param>
/// <param name="SharedBytes">Bytes of shared memory that the source itself declares.</param>
/// <param name="MaxThreads">The most threads a block can have.</param>
/// <param name="ArgumentBytes">The size of the struct that it takes.</param>
public sealed record KernelResources(int Registers, int LocalBytes, int SharedBytes, int MaxThreads, int ArgumentBytes);
