using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Collects everything that is to go into a model, and puts it there at once: an error before leaves the model as it was.</summary>
/// <remarks>
/// For a model on the meta device this costs no memory: what is collected is what the model will hold. A model with values of
/// its own has both for a while.
/// </remarks>
internal sealed class ModelAssembly(FormatCatalog catalog) : IDisposable
{
    private readonly List<(IReadOnlyList<StateEntry> Places, Tensor Value)> values = [];
    private readonly List<(LayerSite Site, LayerReport Report, LinearExecutor Executor)> layers = [];

    /// <summary>Adds the value of a parameter or buffer.</summary>
    /// <param name="places">The places that share it.</param>
    /// <param name="value">The value in the places' shape and type; owned by the assembly from now on.</param>
    public void Add(IReadOnlyList<StateEntry> places, Tensor value) => values.Add((places, value.DetachFromDisposeScope()));

    /// <summary>Adds a quantized weight.</summary>
    /// <param name="site">The layer.</param>
    /// <param name="weight">The weight on its device; owned by the assembly from now on.</param>
    /// <param name="activation">How the layer rounds activations; they stay in floating point if absent.</param>
    /// <param name="origin">The text of the config that made it, if known.</param>
    /// <returns>The layer's row of the report.</returns>
    public LayerReport Add(LayerSite site, QuantizedTensor weight, ActivationScheme? activation, string? origin)
    {
        LinearExecutor executor = catalog.Format(weight.Format).CreateExecutor(weight, activation: activation);
        executor.Origin = origin;
        long before = weight.Shape[0] * weight.Shape[1] * ScalarTypes.Of(weight.DType).Bytes;
        string? blocked = site.ReasonNotToSwap(site.QuantizedType);
        var report = new LayerReport(
            site.Name, site.Layer.GetType().Name, blocked is null ? LayerOutcome.Swapped : LayerOutcome.InPlace, weight.Format,
            null, site.ExplainKernel(executor), blocked is null ? null : $"in place: {blocked}", before, weight.Bytes);
        layers.Add((site, report, executor));
        return report;
    }

    /// <summary>Puts everything into the model.</summary>
    /// <returns>A row for each quantized layer.</returns>
    public IReadOnlyList<LayerReport> Commit()
    {
        using IDisposable ordinary = inference_mode(false);
        using IDisposable noGradient = no_grad();
        foreach ((IReadOnlyList<StateEntry> places, Tensor value) in values)
        {
            Put(places, value);
            value.Dispose();
        }

        values.Clear();
        var done = new List<LayerReport>();
        while (layers.Count > 0)
        {
            (LayerSite site, LayerReport report, LinearExecutor executor) = layers[0];
            LayerOutcome outcome = LayerPlacement.Place(site, executor);
            layers.RemoveAt(0);
            done.Add(report with { Outcome = outcome });
        }

        return done;
    }

    /// <summary>Disposes what was collected and never put into the model.</summary>
    public void Dispose()
    {
        foreach ((_, Tensor value) in values)
        {
            value.Dispose();
        }

        foreach ((_, _, LinearExecutor executor) in layers)
        {
            executor.Dispose();
        }
    }

    private static void Put(IReadOnlyList<StateEntry> places, Tensor value)
    {
        if (!places[0].IsMeta)
        {
            // A copy, so that optimizers and modules inside libtorch keep the parameter that they know.
            places[0].Value.copy_(value);
            return;
        }

        if (places[0].Value.requires_grad)
        {
            value.requires_grad = true;
        }

        foreach (StateEntry place in places.Where(place => place.IsMeta))
        {
            if (!NativeModules.TryGive(place.Module, value))
            {
                TensorContents.Share(place.Value, value);
            }
        }
    }
}
