using TorchAO.Runtime.Cuda;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>What is said where something is missing.</summary>
public sealed class CudaAbsenceTests
{
    [Fact]
    public void A_system_without_a_driver_is_told_so()
    {
        (nint handle, string? reason) = CudaLibraries.OpenDriver(["libcuda-of-no-system.so.1"]);

        Assert.Equal(0, handle);
        Assert.Equal(
            "this system has no CUDA driver (libcuda-of-no-system.so.1 was not found); install NVIDIA's driver to use a GPU", reason);
    }

    [Fact]
    public void Devices_can_be_counted_everywhere()
    {
        Assert.Equal(CudaDevice.All.Count, CudaDevice.Count);
        Assert.Equal(CudaDevice.Count == 0, CudaDevice.AbsenceReason is not null);
    }

    [Fact]
    public void A_device_that_is_not_there_is_refused_with_the_reason()
    {
        CudaException error = Assert.Throws<CudaException>(() => CudaDevice.Get(1000));

        Assert.StartsWith("CUDA device 1000 was asked for, but ", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            CudaDevice.AbsenceReason ?? $"this process sees {CudaDevice.Count}, counted from 0", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_on_the_CPU_has_no_device()
    {
        using Tensor tensor = zeros(2, 3);
        ArgumentException error = Assert.Throws<ArgumentException>(() => CudaDevice.Of(tensor));
        Assert.Contains("The tensor F32 [2, 3] is on cpu, expected a CUDA device; move it with to(device).", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_error_of_the_driver_has_name_words_kernel_and_advice()
    {
        CudaException error = CudaException.OfDriver(1, "cuLaunchKernelEx", "scale of launch.cu", "Grid [0].");

        Assert.Matches(@"^cuLaunchKernelEx failed with CUDA_ERROR\w* \(1\): .+\. Kernel: scale of launch\.cu\. Grid \[0\]\.$", error.Message);
        Assert.Equal((1, "scale of launch.cu"), (error.Code, error.Kernel));
    }

    [Fact]
    public void A_libtorch_without_CUDA_has_no_current_stream()
    {
        Assert.SkipWhen(CudaDevice.Count > 0 && cuda.is_available(), "this libtorch has CUDA");
        Assert.SkipUnless(CudaDevice.Count > 0, CudaDevice.AbsenceReason ?? "");
        CudaException error = Assert.Throws<CudaException>(() => CudaStream.Current(CudaDevice.Get(0)));
        Assert.Contains("has no CUDA part", error.Message, StringComparison.Ordinal);
    }
}
