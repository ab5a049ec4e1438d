using System.Runtime.CompilerServices;

namespace TorchAO.Runtime.Cuda;

/// <summary>An entry point on one device: its handle, and what was checked or set for it once.</summary>
internal sealed unsafe class LoadedKernel
{
    private const int MaxThreads = 0, SharedBytes = 1, LocalBytes = 3, Registers = 4, MaxDynamicSharedBytes = 8, NonPortableCluster = 14;
    private const int SharedWithoutAsking = 48 << 10;
    private const int PortableCluster = 8;

    private readonly string name;
    private readonly int argumentBytes;
    private readonly Lock gate = new();
    private volatile int sharedLimit = SharedWithoutAsking;
    private volatile bool mayHaveLargeClusters;

    public LoadedKernel(string name, nint function, CudaDevice device)
    {
        (this.name, Function, Device) = (name, function, device);
        using ContextScope scope = device.Enter();
        nuint offset, bytes = 0;
        argumentBytes = ParameterBytes(function, 0, &offset, &bytes);
        if (ParameterBytes(function, 1, &offset, &bytes) != 0)
        {
            throw new CudaException($"Kernel {name} takes several parameters, expected one struct by value.");
        }
    }

    public nint Function { get; }

    public CudaDevice Device { get; }

    /// <summary>Refuses a struct of another size than the kernel's own.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void RequireArguments(int bytes, Type type)
    {
        if (bytes != argumentBytes)
        {
            throw new CudaException(
                $"Kernel {name} takes a struct of {argumentBytes} bytes, but {type.Name} has {bytes}; declare the same fields in the same order.");
        }
    }

    /// <summary>Lets the kernel have more than 48 KB of shared memory.</summary>
    public void AllowShared(int bytes)
    {
        if (bytes <= sharedLimit)
        {
            return;
        }

        lock (gate)
        {
            int code = CudaDriver.cuFuncSetAttribute(Function, MaxDynamicSharedBytes, bytes);
            if (code != 0)
            {
                throw CudaException.OfDriver(code, nameof(CudaDriver.cuFuncSetAttribute), name,
                    $"{bytes} bytes of shared memory were asked for; a block of {Device.Name} has {Device.SharedBytesPerBlock} at most.");
            }

            sharedLimit = Math.Max(sharedLimit, bytes);
        }
    }

    /// <summary>Lets the kernel have clusters of more blocks than every device of its generation has.</summary>
    public void AllowCluster(long blocks)
    {
        if (blocks > PortableCluster && !mayHaveLargeClusters)
        {
            CudaDriver.Check(CudaDriver.cuFuncSetAttribute(Function, NonPortableCluster, 1), nameof(CudaDriver.cuFuncSetAttribute), name);
            mayHaveLargeClusters = true;
        }
    }

    public KernelResources Describe() => new(
        Attribute(Registers), Attribute(LocalBytes), Attribute(SharedBytes), Attribute(MaxThreads), argumentBytes);

    private int Attribute(int attribute)
    {
        int value;
        CudaDriver.Check(CudaDriver.cuFuncGetAttribute(&value, attribute, Function), nameof(CudaDriver.cuFuncGetAttribute), name);
        return value;
    }

    // 0 where there is no parameter of this number.
    private int ParameterBytes(nint function, nuint index, nuint* offset, nuint* bytes)
    {
        int code = CudaDriver.cuFuncGetParamInfo(function, index, offset, bytes);
        if (code is not (0 or CudaDriver.InvalidValue))
        {
            throw CudaException.OfDriver(code, nameof(CudaDriver.cuFuncGetParamInfo), name);
        }

        return code == 0 ? (int)*bytes : 0;
    }
}
