using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using TorchAO.Runtime.Tests.Cuda.Kernels;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>What is made on a device goes back to it.</summary>
public sealed class DeviceMemoryTests
{
    private const int Cycles = 1000;
    private const int Count = 1 << 20;

    [CudaFact]
    public void A_thousand_cycles_leave_nothing_on_the_device()
    {
        CudaDevice device = CudaDevice.Get(0);
        Repeat(device, 50); // libtorch's allocator and the driver's pools grow to what one cycle needs
        device.Synchronize();
        long before = device.ReadMemory().Free;

        Repeat(device, Cycles);

        device.Synchronize();
        long lost = before - device.ReadMemory().Free;
        // A cycle makes 12 MB of tensors; one forgotten byte of each would not be seen, one forgotten object of any kind would.
        Assert.True(lost <= 2 << 20, $"{lost} bytes of device memory are gone after {Cycles} cycles");
    }

    private static void Repeat(CudaDevice device, int cycles)
    {
        for (int i = 0; i < cycles; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            CudaStream current = CudaStream.Current(device);
            using var own = CudaStream.Create(device);
            using var start = CudaEvent.Create(device, isTiming: true);
            Tensor x = ones(Count, device: CUDA), y = empty(Count, device: CUDA), z = empty(Count, device: CUDA);
            nint first = TensorMemory.DeviceAddress(x), second = TensorMemory.DeviceAddress(y), third = TensorMemory.DeviceAddress(z);
            own.WaitFor(current);
            using CudaGraph graph = CudaGraph.Capture(own, () =>
            {
                LaunchKernels.Scale.Launch(own, new LaunchKernels.Arguments(first, second, Count, 2), Count / 256, 256);
                LaunchKernels.Scale.Launch(own, new LaunchKernels.Arguments(second, third, Count, 2), Count / 256, 256);
            });
            start.Record(own);
            graph.Launch(own);
            current.WaitFor(own);
            if (i % 100 == 0)
            {
                Assert.True((z == 4).all().item<bool>(), $"cycle {i}");
            }

            own.Synchronize();
        }
    }
}
