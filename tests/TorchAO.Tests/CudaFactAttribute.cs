using System.Runtime.CompilerServices;
using TorchAO.Runtime.Cuda;
using Xunit;
using Xunit.v3;

namespace TorchAO.Tests;

/// <summary>A test that needs a GPU: skipped with the reason where there is none, and found by <c>-trait device=cuda</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaFactAttribute : FactAttribute, ITraitAttribute
{
    public CudaFactAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1)
        : base(file, line) => Skip = Absence;

    /// <summary>Gets why tests of the GPU cannot run here, or <see langword="null"/> where they can.</summary>
    public static string? Absence { get; } = CudaDevice.AbsenceReason
        ?? (TorchSharp.torch.cuda.is_available() ? null : "libtorch has no CUDA, though there is a device")
        ?? CudaSource.CompilerAbsence;

    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("device", "cuda")];
}
