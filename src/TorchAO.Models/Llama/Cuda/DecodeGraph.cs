using System.Globalization;
using TorchAO.Kernels.Cuda;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Cuda;

/// <summary>A decode step of a model and a cache, recorded once as a CUDA graph and replayed for every token.</summary>
/// <remarks>
/// Position and tokens lie in device memory, so that nothing of the graph changes from token to token. Belongs to the cache. In-place
/// changes of weights are seen; a layer that is exchanged makes the graph stale, which the cache notices.
/// </remarks>
internal sealed class DecodeGraph : IDisposable
{
    private readonly GraphBuffers buffers;
    private readonly CudaDevice device;
    private readonly List<RecordedStep> steps = []; // the first serves as many keys as it is made for, the last any number
    private int position;

    private DecodeGraph(CudaDevice device, GraphBuffers buffers, DecodeRecorder recorder, ICudaLaunch choice, int capacity)
    {
        (this.device, this.buffers) = (device, buffers);
        try
        {
            IReadOnlyList<ICudaLaunch> combined = StepLaunch.Combine(device, recorder.Launches, out string? reason);
            ReasonForLaunches = reason;
            if (reason is null)
            {
                steps.Add(new RecordedStep(device, combined, choice, combined.OfType<StepLaunch>().Min(step => step.MostKeys)));
            }

            if (reason is not null || steps[0].MostKeys < capacity)
            {
                steps.Add(new RecordedStep(device, recorder.Launches, choice, int.MaxValue));
            }

            Path = DecodePath.Fused with { Launches = Describe() };
        }
        catch
        {
            steps.ForEach(step => step.Dispose());
            throw;
        }
    }

    /// <summary>Gets how many kernels a step launches; behind a short text, where that makes a difference.</summary>
    public int LaunchCount => steps[0].LaunchCount;

    /// <summary>Gets why the layers of a step are not one launch; <see langword="null"/> where they are.</summary>
    public string? ReasonForLaunches { get; }

    /// <summary>Gets how a step runs, for people.</summary>
    public DecodePath Path { get; }

    /// <summary>Records a step.</summary>
    /// <param name="model">Adds its launches to a recorder.</param>
    /// <param name="config">The shape of the model.</param>
    /// <param name="cache">The cache, on a CUDA device.</param>
    /// <param name="obstacle">Why it cannot be recorded; empty where it can.</param>
    /// <returns>The graph, which the caller disposes; <see langword="null"/> where there is an obstacle.</returns>
    public static DecodeGraph? Record(Action<DecodeRecorder> model, LlamaConfig config, KeyValueCache cache, out string obstacle)
    {
        if (CudaSource.CompilerAbsence is { } absence)
        {
            obstacle = absence;
            return null;
        }

        CudaDevice device = CudaDevice.Get(cache.Device.index);
        var buffers = new GraphBuffers(config, cache.DType, device, cache.Batch, cache.Capacity);
        try
        {
            var recorder = new DecodeRecorder(device, buffers);
            model(recorder);
            obstacle = recorder.Obstacle ?? string.Empty;
            if (obstacle.Length > 0)
            {
                buffers.Dispose();
                return null;
            }

            var choice = new CudaTokenChoice(buffers.Logits, buffers.State, buffers.Best, buffers.Arrived);
            return new DecodeGraph(device, buffers, recorder, choice, cache.Capacity);
        }
        catch
        {
            buffers.Dispose();
            throw;
        }
    }

    /// <summary>Computes the scores behind one new token of each sequence.</summary>
    /// <param name="ids">int64 <c>[B, 1]</c>.</param>
    /// <param name="position">Where they stand.</param>
    /// <returns>Logits <c>[B, 1, vocabulary]</c>, float32. The caller disposes them.</returns>
    public Tensor Step(Tensor ids, int position)
    {
        Seat(ids, position);
        Current().Scores.Launch(CudaStream.Current(device));
        using Tensor rows = buffers.Logits.unsqueeze(1);
        return rows.clone();
    }

    /// <summary>Puts tokens in place, from which <see cref="Advance"/> goes on.</summary>
    /// <param name="ids">int64 <c>[B, 1]</c>.</param>
    /// <param name="position">Where they stand.</param>
    public void Seat(Tensor ids, int position)
    {
        using Tensor flat = ids.reshape(-1);
        buffers.State.Tokens.copy_(flat);
        buffers.State.Position.fill_(position);
        this.position = position;
    }

    /// <summary>Begins a step that takes the likeliest token and makes it the next input. Does not wait.</summary>
    /// <param name="done">Is reached when the token can be read.</param>
    public void Advance(CudaEvent done)
    {
        CudaStream stream = CudaStream.Current(device);
        Current().Chain.Launch(stream);
        done.Record(stream);
        position++;
    }

    /// <summary>Reads a token that a finished step gave.</summary>
    /// <param name="position">Where it stands.</param>
    /// <param name="sequence">Of which sequence.</param>
    public int TokenAt(int position, int sequence = 0) =>
        TensorMemory.Span<int>(buffers.State.History)[(position * (int)buffers.State.Tokens.size(0)) + sequence];

    /// <summary>Makes an event for <see cref="Advance"/>. The caller disposes it.</summary>
    public CudaEvent CreateEvent() => CudaEvent.Create(device);

    public void Dispose()
    {
        device.Synchronize(); // a replay may still run over the buffers
        steps.ForEach(step => step.Dispose());
        buffers.Dispose();
    }

    // The last step has a launch for each part, whatever the first has.
    private string Describe()
    {
        string first = LaunchCount == 1 ? "1 launch a step" : string.Create(CultureInfo.InvariantCulture, $"{LaunchCount} launches a step");
        return ReasonForLaunches is { } reason ? $"{first} ({reason})"
            : steps.Count == 1 ? first
            : string.Create(CultureInfo.InvariantCulture, $"{first}, {steps[^1].LaunchCount} behind {steps[0].MostKeys} keys");
    }

    // The step for as many keys as there will be with the new token.
    private RecordedStep Current() => steps.First(step => position < step.MostKeys);
}
