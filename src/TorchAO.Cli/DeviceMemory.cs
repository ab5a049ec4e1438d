using System.Globalization;
using TorchAO.Runtime.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Cli;

/// <summary>The memory of a GPU, for reports.</summary>
internal static class DeviceMemory
{
    private const long CopiedBytes = 1L << 30;
    private const int Copies = 10;

    /// <summary>Names a device.</summary>
    public static string Describe(Device device)
    {
        CudaDevice found = CudaDevice.Get(Math.Max(device.index, 0));
        (int major, int minor) = found.ComputeCapability;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{found.Name}, compute capability {major}.{minor}, {found.MultiprocessorCount} multiprocessors, {found.TotalBytes / 1e9:F0} GB");
    }

    /// <summary>Measures how fast a large block is copied on the device, in 10⁹ bytes read and written a second.</summary>
    public static double CopyBandwidth(Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor from = zeros([CopiedBytes], dtype: ScalarType.Byte, device: device), to = empty_like(from);
        var stream = CudaStream.Current(CudaDevice.Of(from));
        using CudaEvent start = CudaEvent.Create(stream.Device, isTiming: true), end = CudaEvent.Create(stream.Device, isTiming: true);
        for (int i = -2; i < Copies; i++)
        {
            if (i == 0)
            {
                start.Record(stream);
            }

            to.copy_(from);
        }

        end.Record(stream);
        end.Synchronize();
        return 2.0 * Copies * CopiedBytes / CudaEvent.Milliseconds(start, end) / 1e6;
    }

    /// <summary>Gets the bytes in use on the device, those of other programs included.</summary>
    public static long UsedBytes(Device device)
    {
        (long free, long total) = CudaDevice.Get(Math.Max(device.index, 0)).ReadMemory();
        return total - free;
    }
}
