namespace TorchAO.Runtime.Cuda;

/// <summary>What the cache of compiled kernels did so far in this process.</summary>
/// <param name="Folder">Where it keeps them; <see langword="null"/> where it is switched off.</param>
/// <param name="Hits">How many kernels' code was found there.</param>
/// <param name="Compilations">How many were compiled.</param>
/// <param name="Damaged">How many files were not what was written; they were compiled anew.</param>
/// <param name="Trouble">Why a file could not be read or written last, in the system's words; <see langword="null"/> where all could.
/// Kernels run all the same, but are compiled again by the next process.</param>
public sealed record CubinCacheReport(string? Folder, int Hits, int Compilations, int Damaged, string? Trouble);
