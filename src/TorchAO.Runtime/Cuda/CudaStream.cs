using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Libtorch;

namespace TorchAO.Runtime.Cuda;

/// <summary>A queue of work of one device, which runs in order.</summary>
public sealed unsafe class CudaStream : IDisposable
{
    private const uint NonBlocking = 1;

    // Streams of libtorch live as long as the process; each is wrapped once, so that asking for it allocates nothing.
    private static readonly ConcurrentDictionary<(int Device, nint Handle), CudaStream> Borrowed = new();
    private static readonly Lazy<nint> CurrentFunction = new(FindCurrentFunction);

    private readonly bool isOwned;
    private nint handle;
    private bool isDisposed;

    private CudaStream(CudaDevice device, nint handle, bool isOwned) =>
        (Device, this.handle, this.isOwned) = (device, handle, isOwned);

    /// <summary>Gets the device that runs the work.</summary>
    public CudaDevice Device { get; }

    /// <summary>Gets whether this is the default stream, which cannot be captured into a graph.</summary>
    public bool IsDefault => handle == 0 && !isDisposed;

    /// <summary>Gets the driver's handle.</summary>
    internal nint Handle
    {
        get
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            return handle;
        }
    }

    /// <summary>Gets the stream on which libtorch launches its kernels for a device at present, on this thread.</summary>
    /// <returns>A stream of libtorch's: disposing it does nothing.</returns>
    /// <exception cref="CudaException">libtorch has no CUDA part.</exception>
    public static CudaStream Current(CudaDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        void* stream;
        int status = ((delegate* unmanaged<int, void**, int>)CurrentFunction.Value)(device.Index, &stream);
        LibtorchExports.Check(status, "aoti_torch_get_current_cuda_stream");
        (int, nint) key = (device.Index, (nint)stream);
        return Borrowed.TryGetValue(key, out CudaStream? known)
            ? known
            : Borrowed.GetOrAdd(key, new CudaStream(device, (nint)stream, isOwned: false));
    }

    /// <summary>Creates a stream that runs beside the default one, such as for a capture. The caller disposes it.</summary>
    /// <remarks>It is not ordered with libtorch's work: join the two by <see cref="WaitFor(CudaStream)"/>.</remarks>
    /// <exception cref="CudaException">The driver failed.</exception>
    public static CudaStream Create(CudaDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        using ContextScope scope = device.Enter();
        nint created;
        CudaDriver.Check(CudaDriver.cuStreamCreate(&created, NonBlocking), nameof(CudaDriver.cuStreamCreate));
        return new CudaStream(device, created, isOwned: true);
    }

    /// <summary>Waits until all work given to the stream is done.</summary>
    /// <exception cref="CudaException">Something that ran on it failed.</exception>
    public void Synchronize()
    {
        using ContextScope scope = Device.Enter();
        CudaDriver.Check(CudaDriver.cuStreamSynchronize(Handle), nameof(CudaDriver.cuStreamSynchronize));
    }

    /// <summary>Lets later work of this stream begin after what another stream has been given so far. Does not wait here.</summary>
    /// <exception cref="CudaException">The driver failed.</exception>
    public void WaitFor(CudaStream other)
    {
        ArgumentNullException.ThrowIfNull(other);
        using var reached = CudaEvent.Create(other.Device);
        reached.Record(other);
        WaitFor(reached);
    }

    /// <summary>Lets later work of this stream begin after an event. Does not wait here.</summary>
    /// <exception cref="CudaException">The driver failed.</exception>
    public void WaitFor(CudaEvent reached)
    {
        ArgumentNullException.ThrowIfNull(reached);
        using ContextScope scope = Device.Enter();
        CudaDriver.Check(CudaDriver.cuStreamWaitEvent(Handle, reached.Handle, 0), nameof(CudaDriver.cuStreamWaitEvent));
    }

    /// <summary>Gives a stream of our own back; its work still runs to the end.</summary>
    public void Dispose()
    {
        if (!isOwned || isDisposed)
        {
            return;
        }

        isDisposed = true;
        using ContextScope scope = Device.Enter();
        CudaDriver.Check(CudaDriver.cuStreamDestroy_v2(handle), nameof(CudaDriver.cuStreamDestroy_v2));
        handle = 0;
    }

    private static nint FindCurrentFunction()
    {
        NativeLoader.EnsureLoaded();
        string file = OperatingSystem.IsWindows() ? "torch_cuda.dll" : "libtorch_cuda.so";
        string folder = NativeLoader.Report!.LibtorchFolder;
        string path = Path.Combine(folder, file);
        return NativeLibrary.TryLoad(File.Exists(path) ? path : file, out nint library)
            && NativeLibrary.TryGetExport(library, "aoti_torch_get_current_cuda_stream", out nint function)
            ? function
            : throw new CudaException(
                $"libtorch of {folder} has no CUDA part ({file} was not found there or lacks aoti_torch_get_current_cuda_stream). " +
                $"Set {NativeSearch.LibtorchVariable} to the torch/lib folder of a PyTorch 2.10 or newer with CUDA.");
    }
}
