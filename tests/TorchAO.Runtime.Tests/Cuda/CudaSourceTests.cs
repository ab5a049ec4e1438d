using System.Reflection;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Tests.Cuda.Kernels;
using TorchAO.Tests;
using Xunit;

namespace TorchAO.Runtime.Tests.Cuda;

public sealed class CudaSourceTests
{
    private static readonly Assembly Tests = typeof(CudaSourceTests).Assembly;

    public static TheoryData<string> Architectures => EmbeddedKernels.Architectures;

    [Fact]
    public void A_file_travels_with_the_headers_that_it_includes()
    {
        CudaSource source = LaunchKernels.Source;

        CudaHeader header = Assert.Single(source.Headers);
        Assert.Equal(("lanes.cuh", "TorchAO.Runtime.Tests/Cuda/Kernels/lanes.cuh"), (header.Name, header.Origin));
        Assert.Contains("threadIdx.x", header.Text, StringComparison.Ordinal);
        Assert.Contains("Cuda/Kernels/launch.cu", CudaSource.ListResources(Tests));
    }

    [Fact]
    public void An_absent_file_is_told_with_those_that_there_are()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => CudaSource.FromResource(Tests, "Cuda/lunch.cu"));
        Assert.Contains("TorchAO.Runtime.Tests has no embedded file Cuda/lunch.cu; it has ", error.Message, StringComparison.Ordinal);
        Assert.Contains("Cuda/Kernels/launch.cu", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_absent_header_is_told_with_the_places_that_were_looked_at()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(
            () => CudaSource.FromText("Kernels/half.cu", "#include <cuda_fp16.h>\n"));
        Assert.Contains(
            "Kernels/half.cu includes \"cuda_fp16.h\", which is embedded neither as Kernels/cuda_fp16.h nor as cuda_fp16.h nor as " +
            "Cuda/Include/cuda_fp16.h. Kernels include no headers of the toolkit.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_are_added_not_replaced()
    {
        CudaSource source = LaunchKernels.Source.With("-DOFFSET=1").With("-DHEAD=64");

        Assert.Equal(["-DOFFSET=1", "-DHEAD=64"], source.Options);
        Assert.Equal("Cuda/Kernels/launch.cu -DOFFSET=1 -DHEAD=64", source.ToString());
        Assert.Empty(LaunchKernels.Source.Options);
    }

    [Fact]
    public void A_mistake_in_a_source_is_told_in_the_compilers_words()
    {
        Assert.SkipUnless(CudaSource.CanCompile, CudaSource.CompilerAbsence ?? "");
        CudaException error = Assert.Throws<CudaException>(
            () => CudaSource.FromText("broken.cu", "extern \"C\" __global__ void f(int* y)\n{\n    *y = z;\n}\n").Compile("sm_90a"));

        Assert.StartsWith("broken.cu does not compile for sm_90a (NVRTC_ERROR_COMPILATION):", error.Message, StringComparison.Ordinal);
        Assert.Contains("broken.cu(3): error: identifier \"z\" is undefined", error.CompilerLog, StringComparison.Ordinal);
        Assert.Equal("broken.cu", error.Kernel);
    }

    [Fact]
    public void An_architecture_that_the_compiler_does_not_know_is_told()
    {
        Assert.SkipUnless(CudaSource.CanCompile, CudaSource.CompilerAbsence ?? "");
        CudaException error = Assert.Throws<CudaException>(() => LaunchKernels.Source.Compile("sm_11"));
        Assert.Contains("sm_11", error.Message, StringComparison.Ordinal);
        Assert.Equal("NVRTC_ERROR_INVALID_OPTION", error.ErrorName);
    }

    [Fact]
    public void A_file_says_under_which_options_and_for_which_architectures_it_is_compiled()
    {
        const string Text = "// Kernels.\n// Architectures: sm_90a sm_100a\n// Variant: -DN=1 -DM=2\n// Variant: -DN=3\nint f();\n";

        Assert.Equal([["-DN=1", "-DM=2"], ["-DN=3"]], EmbeddedKernels.Variants(Text, "sm_100a"));
        Assert.Empty(EmbeddedKernels.Variants(Text, "sm_80"));
        Assert.Equal([[]], EmbeddedKernels.Variants("int f();\n", "sm_80"));
    }

    [Theory]
    [MemberData(nameof(Architectures))]
    public void The_kernels_of_these_tests_compile(string architecture) => EmbeddedKernels.AssertCompile(Tests, architecture);
}
