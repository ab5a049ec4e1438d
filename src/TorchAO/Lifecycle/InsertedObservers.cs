using TorchAO.Primitives.Observers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Observers that see the inputs and weights of a model's linear layers until they are taken out again.</summary>
/// <remarks>
/// torchao's <c>insert_observers_</c>: one observer serves all layers. A calibration with a range for each layer is
/// <see cref="CalibrationRun"/>. Until <see cref="Dispose"/> the model is to be run and nothing else.
/// </remarks>
public sealed class InsertedObservers : IDisposable
{
    private readonly LinearObservation observation;

    internal InsertedObservers(
        nn.Module model, MinMaxObserver? input, MinMaxObserver? weight, Func<string, nn.Module, bool>? filter)
    {
        if (input is null && weight is null)
        {
            throw new ArgumentException("There is no observer to insert; give one for inputs, for weights, or for both.");
        }

        IReadOnlyList<LayerSite> sites = LinearObservation.Find(model, filter, "filter_fn");
        Dictionary<LayerSite, Parameter> weights = sites.ToDictionary(site => site, site => site.FloatWeight!);
        Layers = [.. sites.Select(site => site.Name)];
        observation = new LinearObservation(sites, (site, activations) =>
        {
            input?.Observe(activations);
            weight?.Observe(weights[site]);
        });
    }

    /// <summary>Gets the names of the layers that are observed, in the model's order.</summary>
    public IReadOnlyList<string> Layers { get; }

    /// <summary>Takes the observers out; the model is as it was, and the observers keep what they saw.</summary>
    public void Dispose() => observation.Dispose();
}
