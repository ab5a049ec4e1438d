namespace TorchAO.Runtime.Cuda;

/// <summary>Makes a context current on this thread, and puts back the one that was.</summary>
/// <remarks>libtorch takes the thread's context for its current device: a scope that left another one there would move its work.</remarks>
internal readonly unsafe ref struct ContextScope
{
    private readonly nint previous;

    public ContextScope(nint context)
    {
        nint current;
        CudaDriver.Check(CudaDriver.cuCtxGetCurrent(&current), nameof(CudaDriver.cuCtxGetCurrent));
        if (current != context)
        {
            previous = current; // none before: the context stays, as after any call of libtorch's
            CudaDriver.Check(CudaDriver.cuCtxSetCurrent(context), nameof(CudaDriver.cuCtxSetCurrent));
        }
    }

    public void Dispose()
    {
        if (previous != 0)
        {
            CudaDriver.Check(CudaDriver.cuCtxSetCurrent(previous), nameof(CudaDriver.cuCtxSetCurrent));
        }
    }
}
