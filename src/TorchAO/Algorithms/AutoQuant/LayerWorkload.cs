using TorchAO.Lifecycle;
using static TorchSharp.torch;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>What a layer was asked to do while the example inputs ran: counts of rows, and some of the rows.</summary>
/// <remarks>Owns the rows. Not thread-safe.</remarks>
internal sealed class LayerWorkload(LayerSite site) : IDisposable
{
    // Enough for a ratio of signal to noise, and little beside the weight, which has thousands of rows.
    private const long SampleRows = 64;

    private readonly SortedDictionary<long, long> calls = [];

    public LayerSite Site => site;

    /// <summary>Gets how often the layer was called with each count of rows.</summary>
    public IReadOnlyList<AutoQuantCalls> Calls => [.. calls.Select(call => new AutoQuantCalls(call.Key, call.Value))];

    /// <summary>Gets the first activations the layer saw, at most 64 rows <c>[S, K]</c>; owned by this object.</summary>
    public Tensor? Sample { get; private set; }

    /// <summary>Gets the most frequent count of rows.</summary>
    public long UsualRows => calls.MaxBy(call => call.Value).Key;

    /// <summary>Adds a call.</summary>
    /// <param name="input">The activations <c>[M, K]</c>; not consumed.</param>
    public void Add(Tensor input)
    {
        long rows = input.size(0);
        calls[rows] = calls.GetValueOrDefault(rows) + 1;
        if (Sample is null || (Sample.size(0) < SampleRows && rows > Sample.size(0)))
        {
            Sample?.Dispose();
            using Tensor first = input.detach();
            using Tensor part = first.narrow(0, 0, Math.Min(rows, SampleRows));
            Sample = part.to(part.dtype, copy: true).DetachFromDisposeScope();
        }
    }

    public void Dispose()
    {
        Sample?.Dispose();
        Sample = null;
    }
}
