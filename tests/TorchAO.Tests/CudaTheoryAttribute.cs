using System.Runtime.CompilerServices;
using Xunit;
using Xunit.v3;

namespace TorchAO.Tests;

/// <summary>As <see cref="CudaFactAttribute"/>, with rows of data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaTheoryAttribute : TheoryAttribute, ITraitAttribute
{
    public CudaTheoryAttribute([CallerFilePath] string? file = null, [CallerLineNumber] int line = -1)
        : base(file, line) => Skip = CudaFactAttribute.Absence;

    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("device", "cuda")];
}
