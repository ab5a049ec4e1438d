using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives.Observers;

/// <summary>Remembers the smallest and largest value of each block over all tensors it saw, and chooses one grid for them.</summary>
/// <remarks>
/// The counterpart of torchao's <c>AffineQuantizedMinMaxObserver</c>, with its numbers. Tensors may differ in shape from batch to
/// batch as long as they have the same number of blocks: any shapes for <see cref="PerTensor"/>, one channel count for
/// <see cref="PerAxis"/>. Owns its ranges; observed tensors are only read. Not for several threads at once.
/// </remarks>
public sealed class MinMaxObserver : IDisposable
{
    private readonly Granularity granularity;
    private readonly AffineScheme? scheme;
    private Tensor? min;
    private Tensor? max;

    /// <summary>Creates an observer that has seen nothing.</summary>
    /// <param name="granularity">Which elements share a range.</param>
    /// <param name="scheme">The grid that <see cref="CalculateQParams"/> chooses; an observer without one has ranges alone.</param>
    public MinMaxObserver(Granularity granularity, AffineScheme? scheme = null)
    {
        ArgumentNullException.ThrowIfNull(granularity);
        this.granularity = granularity;
        this.scheme = scheme;
    }

    /// <summary>Gets the smallest value of each block, in the type of the observed tensors; the observer owns it.</summary>
    /// <exception cref="QuantizationException">The observer has seen nothing.</exception>
    public Tensor Min => Seen(min);

    /// <summary>Gets the largest value of each block, in the type of the observed tensors; the observer owns it.</summary>
    /// <exception cref="QuantizationException">The observer has seen nothing.</exception>
    public Tensor Max => Seen(max);

    /// <summary>Widens the ranges to include a tensor; one without elements changes nothing.</summary>
    /// <param name="values">float32, float16 or bfloat16 of any shape that the granularity fits.</param>
    /// <exception cref="QuantizationException">The blocks or the type differ from those of earlier tensors.</exception>
    public void Observe(Tensor values)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values.numel() == 0)
        {
            return;
        }

        var layout = new BlockLayout(values.shape, granularity.BlockSize(values.shape));
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor view = values.detach().reshape(layout.View);
        Tensor low = layout.Reduced.Length == 0 ? view.clone() : view.amin(layout.Reduced);
        Tensor high = layout.Reduced.Length == 0 ? view.clone() : view.amax(layout.Reduced);
        if (min is not null && max is not null)
        {
            CheckSame(min, low);
            low = minimum(min, low.reshape(min.shape)); // as many blocks, though sizes of 1 may have left another rank
            high = maximum(max, high.reshape(max.shape));
        }

        min?.Dispose();
        max?.Dispose();
        min = low.DetachFromDisposeScope();
        max = high.DetachFromDisposeScope();
    }

    /// <summary>Chooses the scale and zero point of each block from its range.</summary>
    /// <returns>Scales and zero points in the shape of <see cref="Min"/>. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The observer has seen nothing, or saw a value that is not finite.</exception>
    /// <exception cref="InvalidOperationException">The observer was created without a scheme.</exception>
    public QParams CalculateQParams()
    {
        AffineScheme grid = scheme ?? throw new InvalidOperationException(
            "An observer without a scheme was asked for scales; give its constructor one, or read Min and Max.");
        Tensor low = Seen(min);
        Tensor high = Seen(max);
        CheckFinite(low, high);
        return AffineQuantization.ChooseQParamsFromRange(low, high, grid);
    }

    /// <summary>Disposes the ranges.</summary>
    public void Dispose()
    {
        min?.Dispose();
        max?.Dispose();
        min = null;
        max = null;
    }

    // NaN spreads through amin and minimum, so one look at the end finds what any batch brought.
    private static void CheckFinite(Tensor low, Tensor high)
    {
        using DisposeScope scope = NewDisposeScope();
        if (!low.isfinite().logical_and(high.isfinite()).all().item<bool>())
        {
            throw new QuantizationException(
                "The observed range is not finite: got NaN or infinity in an observed tensor, expected finite values. Find the " +
                "input that overflows, or run the batches in a wider type such as float32.");
        }
    }

    private static void CheckSame(Tensor before, Tensor now)
    {
        if (before.dtype != now.dtype || before.numel() != now.numel())
        {
            throw new QuantizationException(
                $"An observer got {ScalarTypes.NameOf(now.dtype)} ranges of shape [{string.Join(", ", now.shape)}], expected " +
                $"{ScalarTypes.NameOf(before.dtype)} [{string.Join(", ", before.shape)}] as in the tensors before. Give every " +
                "batch one type and one number of channels, or observe with PerTensor.");
        }
    }

    private static Tensor Seen(Tensor? range) => range ?? throw new QuantizationException(
        "An observer was asked for its range before it saw a tensor, expected at least one that is not empty. Run a typical " +
        "batch first.");
}
