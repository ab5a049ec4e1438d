using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using TorchAO.Runtime.Tests.Cuda.Kernels;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Tests.Cuda;

/// <summary>Streams, events and graphs.</summary>
public sealed class CudaStreamTests
{
    private const int Count = 4096;

    [CudaFact]
    public void A_device_says_what_it_is()
    {
        CudaDevice device = CudaDevice.Get(0);
        using Tensor tensor = zeros(1, device: CUDA);

        Assert.Same(device, CudaDevice.Of(tensor));
        Assert.StartsWith($"sm_{device.ComputeCapability.Major}{device.ComputeCapability.Minor}", device.Architecture, StringComparison.Ordinal);
        Assert.InRange(device.MultiprocessorCount, 1, 1000);
        Assert.InRange(device.SharedBytesPerBlock, 48 << 10, device.SharedBytesPerMultiprocessor);
        (long free, long total) = device.ReadMemory();
        Assert.InRange(free, 1, total);
        Assert.InRange(total, 1, device.TotalBytes);
        Assert.Contains(device.Name, device.ToString(), StringComparison.Ordinal);
    }

    [CudaFact]
    public void Every_device_runs_kernels_and_leaves_the_current_one_alone()
    {
        for (int index = 0; index < CudaDevice.Count; index++)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor x = ones(Count, device: device($"cuda:{index}")), y = zeros(Count, device: device($"cuda:{index}"));
            Launch(CudaStream.Current(CudaDevice.Get(index)), x, y, 5);
            Assert.True((y == 5).all().item<bool>(), $"cuda:{index}");
            Assert.Equal(0, zeros(1, device: CUDA).device_index);
        }
    }

    [CudaFact]
    public void The_current_stream_is_one_object_and_outlives_its_disposal()
    {
        CudaStream stream = CudaStream.Current(CudaDevice.Get(0));
        stream.Dispose();

        Assert.Same(stream, CudaStream.Current(CudaDevice.Get(0)));
        stream.Synchronize();
    }

    [CudaFact]
    public void Streams_joined_by_events_keep_the_order()
    {
        using DisposeScope scope = NewDisposeScope();
        CudaStream current = CudaStream.Current(CudaDevice.Get(0));
        using var own = CudaStream.Create(current.Device);
        Tensor x = ones(1 << 24, device: CUDA), y = zeros(1 << 24, device: CUDA), z = zeros(1 << 24, device: CUDA);
        x.mul_(2);
        own.WaitFor(current);
        Launch(own, x, y, 3);
        current.WaitFor(own);
        Launch(current, y, z, 5);

        Assert.True((z == 30).all().item<bool>());
    }

    [CudaFact]
    public void A_disposed_stream_is_refused()
    {
        var own = CudaStream.Create(CudaDevice.Get(0));
        own.Dispose();
        own.Dispose();
        Assert.Throws<ObjectDisposedException>(own.Synchronize);
    }

    [CudaFact]
    public void Events_measure_time()
    {
        using DisposeScope scope = NewDisposeScope();
        CudaStream stream = CudaStream.Current(CudaDevice.Get(0));
        Tensor x = ones(1 << 26, device: CUDA), y = zeros(1 << 26, device: CUDA);
        using var start = CudaEvent.Create(stream.Device, isTiming: true);
        using var end = CudaEvent.Create(stream.Device, isTiming: true);
        start.Record(stream);
        for (int i = 0; i < 20; i++)
        {
            Launch(stream, x, y, 1);
        }

        end.Record(stream);
        end.Synchronize();

        Assert.True(start.IsReached && end.IsReached);
        Assert.InRange(CudaEvent.Milliseconds(start, end), 0.01, 60_000);
    }

    [CudaFact]
    public void A_graph_replays_what_was_launched()
    {
        using DisposeScope scope = NewDisposeScope();
        CudaStream current = CudaStream.Current(CudaDevice.Get(0));
        using var own = CudaStream.Create(current.Device);
        Tensor a = ones(Count, device: CUDA), b = zeros(Count, device: CUDA);
        current.Synchronize();
        using CudaGraph graph = CudaGraph.Capture(own, () =>
        {
            Launch(own, a, b, 2, overlaps: true);
            Launch(own, b, a, 2, overlaps: true);
        });
        Assert.Equal(2, graph.NodeCount);
        Assert.True((a == 1).all().item<bool>(), "a capture runs nothing");
        graph.Upload(current);

        for (int i = 0; i < 10; i++)
        {
            graph.Launch(current);
        }

        Assert.True((a == Math.ScaleB(1, 20)).all().item<bool>());
    }

    [CudaFact]
    public void A_kernel_is_compiled_even_inside_a_capture()
    {
        using DisposeScope scope = NewDisposeScope();
        CudaStream current = CudaStream.Current(CudaDevice.Get(0));
        using var own = CudaStream.Create(current.Device);
        Tensor x = ones(Count, device: CUDA), y = zeros(Count, device: CUDA);
        current.Synchronize();
        var kernel = new CudaKernel(LaunchKernels.Source.With("-DOFFSET=13"), "scale");
        using CudaGraph graph = CudaGraph.Capture(own, () => kernel.Launch(own, Arguments(x, y, 1), Count / 256, 256));
        graph.Launch(current);
        Assert.True((y == 14).all().item<bool>());
    }

    [CudaFact]
    public void A_body_that_throws_ends_its_capture()
    {
        using var own = CudaStream.Create(CudaDevice.Get(0));

        Assert.Throws<InvalidDataException>(() => CudaGraph.Capture(own, () => throw new InvalidDataException("mine")));
        Assert.Throws<CudaException>(() => CudaGraph.Capture(own, own.Synchronize));

        using CudaGraph graph = CudaGraph.Capture(own, () => { });
        Assert.Equal(0, graph.NodeCount);
    }

    [CudaFact]
    public void The_default_stream_cannot_be_captured()
    {
        CudaStream current = CudaStream.Current(CudaDevice.Get(0));
        Assert.SkipUnless(current.IsDefault, "libtorch's current stream is not the default one");
        ArgumentException error = Assert.Throws<ArgumentException>(() => CudaGraph.Capture(current, () => { }));
        Assert.Contains("capture on one of CudaStream.Create", error.Message, StringComparison.Ordinal);
    }

    private static void Launch(CudaStream stream, Tensor x, Tensor y, float factor, bool overlaps = false) =>
        (overlaps ? LaunchKernels.ScaleOverlapped : LaunchKernels.Scale).Launch(
            stream, Arguments(x, y, factor), (int)(x.NumberOfElements / 256), 256, options: new() { OverlapsPredecessor = overlaps });

    private static LaunchKernels.Arguments Arguments(Tensor x, Tensor y, float factor) =>
        new(TensorMemory.DeviceAddress(x), TensorMemory.DeviceAddress(y), x.NumberOfElements, factor);
}
