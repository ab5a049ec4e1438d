using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Cuda;

/// <summary>A GPU, counted as libtorch counts them.</summary>
/// <remarks>Works on the primary context of the device, which is the one that libtorch uses: memory and streams are shared with it.</remarks>
public sealed unsafe class CudaDevice
{
    private static readonly Lazy<CudaDevice[]> Devices = new(Enumerate);

    private readonly Lazy<nint> context;
    private readonly int handle;

    private CudaDevice(int index)
    {
        int found;
        CudaDriver.Check(CudaDriver.cuDeviceGet(&found, index), nameof(CudaDriver.cuDeviceGet));
        (Index, handle) = (index, found);
        context = new Lazy<nint>(RetainContext);
        ComputeCapability = (Attribute(75), Attribute(76));
        // Code for this very chip may use what only it has (wgmma on 9.0), under the letter that promises no other chip runs it.
        Architecture = string.Create(
            CultureInfo.InvariantCulture, $"sm_{ComputeCapability.Major}{ComputeCapability.Minor}{(ComputeCapability.Major >= 9 ? "a" : "")}");
        MultiprocessorCount = Attribute(16);
        SharedBytesPerBlock = Attribute(97);
        SharedBytesPerMultiprocessor = Attribute(81);
        L2Bytes = Attribute(38);
        byte* name = stackalloc byte[256];
        CudaDriver.Check(CudaDriver.cuDeviceGetName(name, 256, handle), nameof(CudaDriver.cuDeviceGetName));
        Name = Marshal.PtrToStringUTF8((nint)name)!;
        nuint bytes;
        CudaDriver.Check(CudaDriver.cuDeviceTotalMem_v2(&bytes, handle), nameof(CudaDriver.cuDeviceTotalMem_v2));
        TotalBytes = (long)bytes;
    }

    /// <summary>Gets how many devices this process sees; 0 where there is no driver. Never throws.</summary>
    public static int Count => AbsenceReason is null ? Devices.Value.Length : 0;

    /// <summary>Gets why no device can be used, or <see langword="null"/> where one can. Starts the driver at the first call.</summary>
    public static string? AbsenceReason => CudaDriver.AbsenceReason;

    /// <summary>Gets all devices in libtorch's order; empty where there is none.</summary>
    public static IReadOnlyList<CudaDevice> All => AbsenceReason is null ? Devices.Value : [];

    /// <summary>Gets the newest CUDA version that the driver knows, as 13000 for 13.0; 0 where there is no driver.</summary>
    public static int DriverVersion
    {
        get
        {
            int version = 0;
            return CudaLibraries.DriverLibrary.Handle != 0 && CudaDriver.cuDriverGetVersion(&version) == 0 ? version : 0;
        }
    }

    /// <summary>Gets the number of the device.</summary>
    public int Index { get; }

    /// <summary>Gets the name that NVIDIA gave it.</summary>
    public string Name { get; }

    /// <summary>Gets the compute capability, (9, 0) for H100 and H200.</summary>
    public (int Major, int Minor) ComputeCapability { get; }

    /// <summary>Gets the architecture that kernels are compiled for, such as <c>sm_90a</c>.</summary>
    public string Architecture { get; }

    /// <summary>Gets how many multiprocessors it has.</summary>
    public int MultiprocessorCount { get; }

    /// <summary>Gets the most shared memory that a block can have, in bytes.</summary>
    public int SharedBytesPerBlock { get; }

    /// <summary>Gets the shared memory that the blocks of a multiprocessor share, in bytes.</summary>
    public int SharedBytesPerMultiprocessor { get; }

    /// <summary>Gets the size of the second-level cache in bytes.</summary>
    public int L2Bytes { get; }

    /// <summary>Gets the size of its memory in bytes.</summary>
    public long TotalBytes { get; }

    /// <summary>Gets a device by its number.</summary>
    /// <exception cref="CudaException">There is no such device; the message says why.</exception>
    public static CudaDevice Get(int index)
    {
        if (AbsenceReason is { } reason)
        {
            throw new CudaException($"CUDA device {index} was asked for, but {reason}.");
        }

        return (uint)index < (uint)Devices.Value.Length ? Devices.Value[index] : throw new CudaException(
            $"CUDA device {index} was asked for, but this process sees {Devices.Value.Length}, counted from 0.");
    }

    /// <summary>Gets the device that holds a tensor.</summary>
    /// <exception cref="ArgumentException">The tensor is not on a CUDA device.</exception>
    public static CudaDevice Of(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return tensor.device_type == DeviceType.CUDA ? Get(Math.Max(0, tensor.device_index)) : throw new ArgumentException(
            $"The tensor {Memory.TensorMemory.Describe(tensor)} is on {tensor.device}, expected a CUDA device; move it with to(device).",
            nameof(tensor));
    }

    /// <summary>Reads how much memory is free and how much there is, in bytes, for all processes together.</summary>
    /// <remarks>What libtorch's allocator keeps for later counts as used. Peaks of that allocator are C++ only and not to be had here.</remarks>
    /// <exception cref="CudaException">The driver failed.</exception>
    public (long Free, long Total) ReadMemory()
    {
        using ContextScope scope = Enter();
        nuint free, total;
        CudaDriver.Check(CudaDriver.cuMemGetInfo_v2(&free, &total), nameof(CudaDriver.cuMemGetInfo_v2));
        return ((long)free, (long)total);
    }

    /// <summary>Waits until the device has done all that this process gave it.</summary>
    /// <exception cref="CudaException">Something that ran on it failed.</exception>
    public void Synchronize()
    {
        using ContextScope scope = Enter();
        CudaDriver.Check(CudaDriver.cuCtxSynchronize(), nameof(CudaDriver.cuCtxSynchronize));
    }

    /// <summary>Writes name, architecture and memory.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Name} ({Architecture}, {MultiprocessorCount} multiprocessors, {TotalBytes / 1e9:f0} GB)");

    /// <summary>Makes this device current on the calling thread until the scope ends.</summary>
    internal ContextScope Enter() => new(context.Value);

    private int Attribute(int attribute)
    {
        int value;
        CudaDriver.Check(CudaDriver.cuDeviceGetAttribute(&value, attribute, handle), nameof(CudaDriver.cuDeviceGetAttribute));
        return value;
    }

    private nint RetainContext()
    {
        nint retained;
        CudaDriver.Check(CudaDriver.cuDevicePrimaryCtxRetain(&retained, handle), nameof(CudaDriver.cuDevicePrimaryCtxRetain));
        return retained;
    }

    private static CudaDevice[] Enumerate()
    {
        int count;
        CudaDriver.Check(CudaDriver.cuDeviceGetCount(&count), nameof(CudaDriver.cuDeviceGetCount));
        return [.. Enumerable.Range(0, count).Select(index => new CudaDevice(index))];
    }
}
