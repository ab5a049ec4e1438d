using TorchAO.Runtime.Cuda;
using Xunit;

namespace TorchAO.Tests.Kernels.Cuda;

public sealed class CompilationTests
{
    public static TheoryData<string> Architectures => EmbeddedKernels.Architectures;

    [Theory]
    [MemberData(nameof(Architectures))]
    public void Every_kernel_of_the_library_compiles(string architecture)
    {
        EmbeddedKernels.AssertCompile(typeof(CudaKernel).Assembly, architecture);
        EmbeddedKernels.AssertCompile(typeof(ModelExtensions).Assembly, architecture);
    }
}
