using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace TorchAO.Runtime.Cuda;

/// <summary>One entry point of a source, ready to launch on any device. Safe for threads.</summary>
/// <remarks>
/// Compiled and loaded at the first launch on a device. A launch allocates nothing. A kernel takes one struct by value
/// (<c>extern "C" __global__ void name(const Arguments arguments)</c>), so that C# and the source each declare it once; addresses of
/// tensors are fields of type <see cref="nint"/>, from <see cref="Memory.TensorMemory.DeviceAddress"/>.
/// </remarks>
public sealed unsafe class CudaKernel
{
    private readonly ConcurrentDictionary<CudaDevice, LoadedKernel> loaded = new();

    // Nearly every process uses one device.
    private LoadedKernel? newest;

    /// <summary>Names an entry point; nothing is compiled yet.</summary>
    public CudaKernel(CudaSource source, string entry)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentException.ThrowIfNullOrEmpty(entry);
        (Source, Entry) = (source, entry);
    }

    /// <summary>Gets the text that it is in.</summary>
    public CudaSource Source { get; }

    /// <summary>Gets the name of the function.</summary>
    public string Entry { get; }

    /// <summary>Launches the kernel. Does not wait for it. A grid without blocks launches nothing.</summary>
    /// <param name="stream">The stream; memory that the kernel works on must stay until it is done.</param>
    /// <param name="arguments">The kernel's struct; copied before this returns.</param>
    /// <param name="grid">Counts of blocks.</param>
    /// <param name="block">Counts of threads in a block.</param>
    /// <param name="sharedBytes">Bytes of dynamic shared memory a block.</param>
    /// <param name="options">What else is asked for.</param>
    /// <exception cref="CudaException">The source does not compile, the struct has another size than the kernel's, the device lacks what
    /// is asked for, or an earlier kernel failed.</exception>
    public void Launch<TArguments>(
        CudaStream stream, in TArguments arguments, Dim3 grid, Dim3 block, int sharedBytes = 0, LaunchOptions options = default)
        where TArguments : unmanaged
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (grid.Count == 0)
        {
            return;
        }

        LoadedKernel kernel = Load(stream.Device);
        kernel.RequireArguments(sizeof(TArguments), typeof(TArguments));
        using ContextScope scope = stream.Device.Enter();
        kernel.AllowShared(sharedBytes);
        CudaDriver.LaunchAttribute* attributes = stackalloc CudaDriver.LaunchAttribute[3];
        var config = new CudaDriver.LaunchConfig
        {
            GridX = (uint)grid.X,
            GridY = (uint)grid.Y,
            GridZ = (uint)grid.Z,
            BlockX = (uint)block.X,
            BlockY = (uint)block.Y,
            BlockZ = (uint)block.Z,
            SharedBytes = (uint)sharedBytes,
            Stream = stream.Handle,
            Attributes = attributes,
            AttributeCount = SetAttributes(attributes, kernel, options),
        };
        fixed (TArguments* first = &arguments)
        {
            void* parameters = first;
            int code = CudaDriver.cuLaunchKernelEx(&config, kernel.Function, &parameters, null);
            if (code != 0)
            {
                throw Failure(code, grid, block, sharedBytes, options);
            }
        }
    }

    /// <summary>Compiles and loads the kernel for a device, if no launch has yet.</summary>
    /// <returns>What it takes of a multiprocessor there.</returns>
    /// <exception cref="CudaException">The source does not compile, or has no such function.</exception>
    public KernelResources Prepare(CudaDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        LoadedKernel kernel = Load(device);
        using ContextScope scope = device.Enter();
        return kernel.Describe();
    }

    /// <summary>Computes how many blocks of some size run on a multiprocessor at once.</summary>
    /// <exception cref="CudaException">As <see cref="Prepare"/>, or the size is beyond the device.</exception>
    public int BlocksPerMultiprocessor(CudaDevice device, int threads, int sharedBytes = 0)
    {
        ArgumentNullException.ThrowIfNull(device);
        LoadedKernel kernel = Load(device);
        using ContextScope scope = device.Enter();
        kernel.AllowShared(sharedBytes);
        int blocks;
        CudaDriver.Check(
            CudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel.Function, threads, (nuint)sharedBytes),
            nameof(CudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor), ToString());
        return blocks;
    }

    /// <summary>Writes the function and its source.</summary>
    public override string ToString() => $"{Entry} of {Source}";

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private LoadedKernel Load(CudaDevice device)
    {
        LoadedKernel? kernel = Volatile.Read(ref newest);
        return kernel?.Device == device ? kernel : LoadFor(device);
    }

    private LoadedKernel LoadFor(CudaDevice device)
    {
        // Two threads may come at once; the module is one all the same, and so is the function.
        LoadedKernel kernel = loaded.GetOrAdd(device, key => new LoadedKernel(ToString(), Source.Load(key).Find(Entry), key));
        Volatile.Write(ref newest, kernel);
        return kernel;
    }

    private static uint SetAttributes(CudaDriver.LaunchAttribute* attributes, LoadedKernel kernel, LaunchOptions options)
    {
        uint count = 0;
        if (options.OverlapsPredecessor && kernel.Device.ComputeCapability.Major >= 9)
        {
            attributes[count++] = new() { Id = CudaDriver.LaunchAttribute.ProgrammaticStreamSerialization, X = 1 };
        }

        if (options.Cluster is { } cluster)
        {
            kernel.AllowCluster(cluster.Count);
            attributes[count++] = new()
            {
                Id = CudaDriver.LaunchAttribute.ClusterDimension,
                X = (uint)cluster.X,
                Y = (uint)cluster.Y,
                Z = (uint)cluster.Z,
            };
        }

        if (options.IsCooperative)
        {
            attributes[count++] = new() { Id = CudaDriver.LaunchAttribute.Cooperative, X = 1 };
        }

        return count;
    }

    private CudaException Failure(int code, Dim3 grid, Dim3 block, int sharedBytes, LaunchOptions options)
    {
        string cluster = options.Cluster is { } blocks ? $" in clusters {blocks}" : "";
        return CudaException.OfDriver(
            code, nameof(CudaDriver.cuLaunchKernelEx), ToString(),
            $"It was launched as {grid} blocks of {block} threads{cluster} with {sharedBytes} bytes of shared memory.");
    }
}
