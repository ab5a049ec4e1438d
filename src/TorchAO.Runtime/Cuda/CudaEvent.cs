namespace TorchAO.Runtime.Cuda;

/// <summary>A mark in a stream: to wait for, or to measure time between two.</summary>
public sealed unsafe class CudaEvent : IDisposable
{
    private const uint DisableTiming = 2;

    private readonly CudaDevice device;
    private nint handle;

    private CudaEvent(CudaDevice device, nint handle) => (this.device, this.handle) = (device, handle);

    /// <summary>Gets the driver's handle.</summary>
    internal nint Handle
    {
        get
        {
            ObjectDisposedException.ThrowIf(handle == 0, this);
            return handle;
        }
    }

    /// <summary>Gets whether the stream has passed the mark. True before it is recorded.</summary>
    /// <exception cref="CudaException">Something that ran before the mark failed.</exception>
    public bool IsReached
    {
        get
        {
            int code = CudaDriver.cuEventQuery(Handle);
            if (code != CudaDriver.NotReady)
            {
                CudaDriver.Check(code, nameof(CudaDriver.cuEventQuery));
            }

            return code == 0;
        }
    }

    /// <summary>Creates a mark. The caller disposes it.</summary>
    /// <param name="device">The device of the streams that it will be recorded in.</param>
    /// <param name="isTiming">Whether times between two such marks will be asked for; marks without are cheaper.</param>
    /// <exception cref="CudaException">The driver failed.</exception>
    public static CudaEvent Create(CudaDevice device, bool isTiming = false)
    {
        ArgumentNullException.ThrowIfNull(device);
        using ContextScope scope = device.Enter();
        nint created;
        CudaDriver.Check(CudaDriver.cuEventCreate(&created, isTiming ? 0 : DisableTiming), nameof(CudaDriver.cuEventCreate));
        return new CudaEvent(device, created);
    }

    /// <summary>Sets the mark behind all that the stream has been given so far.</summary>
    /// <exception cref="CudaException">The driver failed, as when the stream is of another device.</exception>
    public void Record(CudaStream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using ContextScope scope = device.Enter();
        CudaDriver.Check(CudaDriver.cuEventRecord(Handle, stream.Handle), nameof(CudaDriver.cuEventRecord));
    }

    /// <summary>Waits until the stream has passed the mark.</summary>
    /// <exception cref="CudaException">Something that ran before the mark failed.</exception>
    public void Synchronize()
    {
        using ContextScope scope = device.Enter();
        CudaDriver.Check(CudaDriver.cuEventSynchronize(Handle), nameof(CudaDriver.cuEventSynchronize));
    }

    /// <summary>Gets the milliseconds from one reached mark to another, to about half a microsecond.</summary>
    /// <exception cref="CudaException">A mark was not recorded, not reached yet, or made without timing.</exception>
    public static double Milliseconds(CudaEvent start, CudaEvent end)
    {
        ArgumentNullException.ThrowIfNull(start);
        ArgumentNullException.ThrowIfNull(end);
        float milliseconds;
        CudaDriver.Check(
            CudaDriver.cuEventElapsedTime(&milliseconds, start.Handle, end.Handle), nameof(CudaDriver.cuEventElapsedTime));
        return milliseconds;
    }

    /// <summary>Gives the mark back.</summary>
    public void Dispose()
    {
        if (handle != 0)
        {
            using ContextScope scope = device.Enter();
            CudaDriver.Check(CudaDriver.cuEventDestroy_v2(handle), nameof(CudaDriver.cuEventDestroy_v2));
            handle = 0;
        }
    }
}
