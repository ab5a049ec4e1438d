using TorchAO.Primitives;
using TorchAO.Primitives.Observers;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>The range of one layer's inputs while a calibration runs.</summary>
/// <remarks>Owns two numbers on the layer's device, which are read once, at the end. Not thread-safe.</remarks>
internal sealed class LayerRange(LayerSite site) : IDisposable
{
    private readonly MinMaxObserver observer = new(new PerTensor());

    private long calls;
    private long tokens;

    public string Name => site.Name;

    public bool IsSeen => calls > 0;

    /// <summary>Adds a call.</summary>
    /// <param name="input">The activations <c>[M, K]</c>, M ≥ 1; not consumed.</param>
    public void Add(Tensor input)
    {
        observer.Observe(input);
        calls++;
        tokens += input.size(0);
    }

    /// <summary>Reads what was seen; NaN in any call is NaN here.</summary>
    public CalibratedLayer Read() => new(Name, ToSingle(observer.Min), ToSingle(observer.Max), calls, tokens);

    public void Dispose() => observer.Dispose();

    private static float ToSingle(Tensor value)
    {
        using Tensor single = value.to(ScalarType.Float32);
        return single.item<float>();
    }
}
