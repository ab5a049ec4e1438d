namespace TorchAO.Runtime.Cuda;

/// <summary>The run-time compiler as it was found.</summary>
/// <param name="Handle">The loader's handle; 0 where none was found.</param>
/// <param name="Path">The file, or the name under which the loader found it; <see langword="null"/> where none was found.</param>
/// <param name="Searched">Every place that was looked at, in order.</param>
internal sealed record NvrtcLibrary(nint Handle, string? Path, IReadOnlyList<string> Searched)
{
    /// <summary>Makes the error of a system without the compiler.</summary>
    public CudaException Missing() => new(
        $"NVRTC, which compiles CUDA kernels, was not found. Looked for: {string.Join(", ", Searched)}. It comes with every PyTorch for " +
        $"CUDA; set {NvrtcSearch.Variable} to the file or its folder.");
}
