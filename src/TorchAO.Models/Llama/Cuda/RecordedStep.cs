using TorchAO.Kernels.Cuda;
using TorchAO.Runtime.Cuda;

namespace TorchAO.Models.Llama.Cuda;

/// <summary>One way to compute a step, recorded twice: up to the scores of the next token, and up to its choice.</summary>
internal sealed class RecordedStep : IDisposable
{
    private readonly IReadOnlyList<ICudaLaunch> launches; // keep what they point to alive

    /// <summary>Records launches.</summary>
    /// <param name="device">Where they run.</param>
    /// <param name="layers">What gives the scores. Those of them that are disposable belong to this object.</param>
    /// <param name="choice">What takes a token.</param>
    /// <param name="mostKeys">How many keys it is made for.</param>
    public RecordedStep(CudaDevice device, IReadOnlyList<ICudaLaunch> layers, ICudaLaunch choice, int mostKeys)
    {
        (launches, MostKeys) = ([.. layers, choice], mostKeys);
        using CudaStream stream = CudaStream.Create(device);
        try
        {
            Scores = CudaGraph.Capture(stream, () => LaunchAll(layers, stream));
            Chain = CudaGraph.Capture(stream, () => LaunchAll(launches, stream));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Gets the launches up to the scores.</summary>
    public CudaGraph Scores { get; }

    /// <summary>Gets all launches.</summary>
    public CudaGraph Chain { get; }

    /// <summary>Gets how many keys the step is made for.</summary>
    public int MostKeys { get; }

    /// <summary>Gets how many kernels give the scores.</summary>
    public int LaunchCount => launches.Count - 1;

    public void Dispose()
    {
        Chain?.Dispose(); // absent where recording failed
        Scores?.Dispose();
        foreach (IDisposable launch in launches.OfType<StepLaunch>())
        {
            launch.Dispose();
        }
    }

    private static void LaunchAll(IEnumerable<ICudaLaunch> launches, CudaStream stream)
    {
        foreach (ICudaLaunch launch in launches)
        {
            launch.Launch(stream);
        }
    }
}
