using System.Reflection;
using TorchAO.Runtime.Cuda;
using Xunit;

namespace TorchAO.Tests;

/// <summary>Compiles the CUDA files of an assembly as they are, which needs the compiler but no device.</summary>
internal static class EmbeddedKernels
{
    /// <summary>Every generation that the kernels are written for, from A100 to the newest.</summary>
    public static TheoryData<string> Architectures => ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"];

    public static void AssertCompile(Assembly assembly, string architecture)
    {
        Assert.SkipUnless(CudaSource.CanCompile, CudaSource.CompilerAbsence ?? "");
        List<string> refused = [];
        foreach (string file in CudaSource.ListResources(assembly))
        {
            try
            {
                Assert.True(CudaSource.FromResource(assembly, file).Compile(architecture).Code.Length > 0);
            }
            catch (CudaException e)
            {
                refused.Add(e.Message);
            }
        }

        Assert.True(refused.Count == 0, string.Join("\n", refused));
    }
}
