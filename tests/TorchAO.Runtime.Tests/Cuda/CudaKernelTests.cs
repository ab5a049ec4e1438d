using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using TorchAO.Runtime.Tests.Cuda.Kernels;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>Launches on a device.</summary>
public sealed class CudaKernelTests
{
    [CudaTheory]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(100_003)]
    public void A_kernel_works_on_tensors_of_libtorch(int count)
    {
        using DisposeScope scope = NewDisposeScope();
        CudaStream stream = Stream();
        Tensor x = randn(count, device: CUDA), y = full(count, float.NaN, device: CUDA);

        LaunchKernels.Scale.Launch(stream, Arguments(x, y, count, 3), (count + 255) / 256, 256);

        Assert.True((x * 3).equal(y).all().item<bool>());
    }

    [CudaFact]
    public void A_grid_without_blocks_launches_nothing()
        => LaunchKernels.Scale.Launch(Stream(), new LaunchKernels.Arguments(0, 0, 0, 0), 0, 256);

    [CudaFact]
    public void Options_of_the_source_reach_the_compiler()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = zeros(5, device: CUDA), y = full(5, float.NaN, device: CUDA);
        var kernel = new CudaKernel(LaunchKernels.Source.With("-DOFFSET=7"), "scale");

        kernel.Launch(Stream(), Arguments(x, y, 5, 1), 1, 32);

        Assert.True((y == 7).all().item<bool>());
    }

    [CudaFact]
    public void A_struct_of_another_size_is_refused()
    {
        CudaException error = Assert.Throws<CudaException>(() => LaunchKernels.Scale.Launch(Stream(), 1.5, 1, 32));
        Assert.Equal(
            "Kernel scale of Cuda/Kernels/launch.cu takes a struct of 32 bytes, but Double has 8; declare the same fields in the same order.",
            error.Message);
    }

    [CudaFact]
    public void A_kernel_of_two_parameters_is_refused()
    {
        CudaException error = Assert.Throws<CudaException>(
            () => new CudaKernel(LaunchKernels.Source, "two_parameters").Prepare(CudaDevice.Get(0)));
        Assert.Contains("takes several parameters, expected one struct by value", error.Message, StringComparison.Ordinal);
    }

    [CudaFact]
    public void An_absent_function_is_named()
    {
        CudaException error = Assert.Throws<CudaException>(
            () => new CudaKernel(LaunchKernels.Source, "scael").Prepare(CudaDevice.Get(0)));
        Assert.Equal("CUDA_ERROR_NOT_FOUND", error.ErrorName);
        Assert.Contains("Kernel: scael of Cuda/Kernels/launch.cu.", error.Message, StringComparison.Ordinal);
    }

    [CudaFact]
    public void A_block_may_have_all_shared_memory_of_the_device_and_no_more()
    {
        using DisposeScope scope = NewDisposeScope();
        CudaStream stream = Stream();
        int bytes = stream.Device.SharedBytesPerBlock;
        int count = bytes / sizeof(float);
        Tensor x = randn(2, count, device: CUDA), y = full([2, count], float.NaN, device: CUDA);

        LaunchKernels.ReverseShared.Launch(stream, Arguments(x, y, count, 1), 2, 1024, bytes);

        Assert.True(x.flip(1).equal(y).all().item<bool>());
        CudaException error = Assert.Throws<CudaException>(
            () => LaunchKernels.ReverseShared.Launch(stream, Arguments(x, y, count, 1), 2, 1024, bytes + 4));
        Assert.Contains($"{bytes + 4} bytes of shared memory were asked for", error.Message, StringComparison.Ordinal);
    }

    [CudaFact]
    public void Too_many_threads_are_told_with_the_shape_of_the_launch()
    {
        CudaException error = Assert.Throws<CudaException>(
            () => LaunchKernels.Scale.Launch(Stream(), new LaunchKernels.Arguments(0, 0, 0, 0), 1, 2048));
        Assert.Equal("CUDA_ERROR_INVALID_VALUE", error.ErrorName);
        Assert.Contains("It was launched as [1, 1, 1] blocks of [2048, 1, 1] threads", error.Message, StringComparison.Ordinal);
    }

    [CudaTheory]
    [InlineData(4)]
    [InlineData(16)]
    public void Blocks_form_clusters(int size)
    {
        CudaStream stream = Stream();
        Assert.SkipUnless(stream.Device.ComputeCapability.Major >= 9, "clusters need compute capability 9.0");
        using DisposeScope scope = NewDisposeScope();
        Tensor y = full(48, -1f, device: CUDA);

        LaunchKernels.ClusterRank.Launch(stream, Arguments(y, y, 48, 1), 48, 32, options: new() { Cluster = size });

        Assert.True(arange(48, device: CUDA).remainder(size).equal(y).all().item<bool>());
    }

    [CudaFact]
    public void A_kernel_that_overlaps_its_predecessor_still_sees_all_of_it()
    {
        using DisposeScope scope = NewDisposeScope();
        CudaStream stream = Stream();
        const int Count = 1 << 20;
        Tensor a = ones(Count, device: CUDA), b = zeros(Count, device: CUDA);
        for (int i = 0; i < 50; i++)
        {
            (Tensor x, Tensor y) = i % 2 == 0 ? (a, b) : (b, a);
            LaunchKernels.ScaleOverlapped.Launch(
                stream, Arguments(x, y, Count, 2), Count / 256, 256, options: new() { OverlapsPredecessor = true });
        }

        Assert.True((a == Math.ScaleB(1, 50)).all().item<bool>());
    }

    [CudaFact]
    public void Threads_that_come_at_once_get_one_kernel()
    {
        var kernel = new CudaKernel(LaunchKernels.Source.With("-DOFFSET=11"), "scale");
        using Tensor x = zeros(64, device: CUDA), y = zeros(8, 64, device: CUDA);
        nint from = TensorMemory.DeviceAddress(x), to = TensorMemory.DeviceAddress(y);
        int compiled = CubinCache.Default.Report.Compilations + CubinCache.Default.Report.Hits;

        Parallel.For(0, 8, i => kernel.Launch(
            Stream(), new LaunchKernels.Arguments(from, to + (i * 64 * sizeof(float)), 64, 1), 2, 32));

        CudaDevice.Get(0).Synchronize();
        Assert.True((y == 11).all().item<bool>());
        Assert.Equal(compiled + 1, CubinCache.Default.Report.Compilations + CubinCache.Default.Report.Hits);
    }

    [CudaFact]
    public void A_launch_allocates_nothing()
    {
        using Tensor x = zeros(64, device: CUDA), y = zeros(64, device: CUDA);
        LaunchKernels.Arguments arguments = Arguments(x, y, 64, 1);
        LaunchKernels.Scale.Launch(Stream(), arguments, 2, 32);

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            LaunchKernels.Scale.Launch(Stream(), arguments, 2, 32, options: new() { OverlapsPredecessor = true });
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [CudaFact]
    public void What_a_kernel_takes_of_a_multiprocessor_can_be_asked()
    {
        CudaDevice device = CudaDevice.Get(0);

        KernelResources resources = LaunchKernels.BlockSum.Prepare(device);

        Assert.Equal((0, 128, 1024, 32), (resources.LocalBytes, resources.SharedBytes, resources.MaxThreads, resources.ArgumentBytes));
        Assert.InRange(resources.Registers, 8, 64);
        Assert.InRange(LaunchKernels.BlockSum.BlocksPerMultiprocessor(device, 1024), 1, 2);
    }

    [CudaFact]
    public void A_block_sums_over_its_warps()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = arange(1, 1001, dtype: ScalarType.Float32, device: CUDA), y = full(1, float.NaN, device: CUDA);

        LaunchKernels.BlockSum.Launch(Stream(), Arguments(x, y, 1000, 2), 1, 256);

        Assert.Equal(1001000f, y.item<float>());
    }

    private static CudaStream Stream() => CudaStream.Current(CudaDevice.Get(0));

    private static LaunchKernels.Arguments Arguments(Tensor x, Tensor y, long count, float factor) =>
        new(TensorMemory.DeviceAddress(x), TensorMemory.DeviceAddress(y), count, factor);
}
