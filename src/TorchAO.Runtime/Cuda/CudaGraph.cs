using System.Runtime.ExceptionServices;

namespace TorchAO.Runtime.Cuda;

/// <summary>Launches recorded once and replayed together, without the cost of launching each.</summary>
/// <remarks>
/// Addresses and arguments are those of the capture: whatever the recorded kernels read and write must stay where it is until the graph
/// is disposed. Only launches on the captured stream (and on streams joined to it) are recorded, never operators of TorchSharp.
/// </remarks>
public sealed unsafe class CudaGraph : IDisposable
{
    private const int Relaxed = 2;

    private readonly CudaDevice device;
    private nint executable;

    private CudaGraph(CudaDevice device, nint executable, int nodeCount) =>
        (this.device, this.executable, NodeCount) = (device, executable, nodeCount);

    /// <summary>Gets how many launches, copies and the like were recorded.</summary>
    public int NodeCount { get; }

    /// <summary>Records what an action launches on a stream. Nothing runs yet. The caller disposes the graph.</summary>
    /// <param name="stream">A stream of <see cref="CudaStream.Create"/>; the default stream cannot be recorded.</param>
    /// <param name="body">Launches on that stream, from this thread. Kernels may be compiled meanwhile.</param>
    /// <exception cref="ArgumentException">The stream is the default one.</exception>
    /// <exception cref="CudaException">The driver failed, or the body did what a capture forbids, such as waiting for the stream.</exception>
    public static CudaGraph Capture(CudaStream stream, Action body)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(body);
        if (stream.IsDefault)
        {
            throw new ArgumentException("The default stream cannot be recorded; capture on one of CudaStream.Create.", nameof(stream));
        }

        using ContextScope scope = stream.Device.Enter();
        CudaDriver.Check(CudaDriver.cuStreamBeginCapture_v2(stream.Handle, Relaxed), nameof(CudaDriver.cuStreamBeginCapture_v2));
        Exception? failure = null;
        try
        {
            body();
        }
        catch (Exception e) // thrown again below: the capture must end first, or the stream stays unusable
        {
            failure = e;
        }

        nint graph = 0;
        int ended = CudaDriver.cuStreamEndCapture(stream.Handle, &graph);
        try
        {
            if (failure is not null)
            {
                ExceptionDispatchInfo.Throw(failure);
            }

            CudaDriver.Check(ended, nameof(CudaDriver.cuStreamEndCapture));
            return Instantiate(stream.Device, graph);
        }
        finally
        {
            if (graph != 0)
            {
                _ = CudaDriver.cuGraphDestroy(graph);
            }
        }
    }

    /// <summary>Runs all that was recorded, on a stream, in the recorded order. Does not wait here.</summary>
    /// <exception cref="CudaException">The driver failed.</exception>
    public void Launch(CudaStream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ObjectDisposedException.ThrowIf(executable == 0, this);
        using ContextScope scope = device.Enter();
        CudaDriver.Check(CudaDriver.cuGraphLaunch(executable, stream.Handle), nameof(CudaDriver.cuGraphLaunch));
    }

    /// <summary>Brings the graph to the device ahead, so that its first launch is as fast as the others.</summary>
    /// <exception cref="CudaException">The driver failed.</exception>
    public void Upload(CudaStream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ObjectDisposedException.ThrowIf(executable == 0, this);
        using ContextScope scope = device.Enter();
        CudaDriver.Check(CudaDriver.cuGraphUpload(executable, stream.Handle), nameof(CudaDriver.cuGraphUpload));
    }

    /// <summary>Gives the graph back; a replay that runs still ends.</summary>
    public void Dispose()
    {
        if (executable != 0)
        {
            using ContextScope scope = device.Enter();
            CudaDriver.Check(CudaDriver.cuGraphExecDestroy(executable), nameof(CudaDriver.cuGraphExecDestroy));
            executable = 0;
        }
    }

    private static CudaGraph Instantiate(CudaDevice device, nint graph)
    {
        nuint nodes = 0;
        CudaDriver.Check(CudaDriver.cuGraphGetNodes(graph, null, &nodes), nameof(CudaDriver.cuGraphGetNodes));
        nint created;
        CudaDriver.Check(
            CudaDriver.cuGraphInstantiateWithFlags(&created, graph, 0), nameof(CudaDriver.cuGraphInstantiateWithFlags));
        return new CudaGraph(device, created, (int)nodes);
    }
}
