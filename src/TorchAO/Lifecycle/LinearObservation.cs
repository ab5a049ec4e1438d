using TorchAO.Runtime.Libtorch;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Shows somebody the activations that reach linear layers, while the model runs as it always does.</summary>
/// <remarks>
/// <para>
/// Hooks would not do: TorchSharp runs them for <c>call</c> and not for <c>forward</c>, which models use as often. So each
/// layer's weight is a <see cref="QuantizedPlaceholder"/> for a while, whose product is the ordinary one of the weight it
/// stands for, whatever road the model takes to it.
/// </para>
/// <para>
/// Until <see cref="Dispose"/> the model is to be run and nothing else: it must not be moved, converted, trained or saved.
/// </para>
/// </remarks>
internal sealed class LinearObservation : IDisposable
{
    private readonly List<Observed> layers = [];
    private readonly Action<LayerSite, Tensor> show;
    private readonly Lock gate = new();

    /// <summary>Begins to observe.</summary>
    /// <param name="sites">Linear layers in floating point.</param>
    /// <param name="show">Is given the layer and its activations <c>[M, K]</c>, M ≥ 1, one call at a time; disposes and keeps
    /// nothing. What it throws reaches whoever runs the model.</param>
    public LinearObservation(IReadOnlyList<LayerSite> sites, Action<LayerSite, Tensor> show)
    {
        this.show = show;
        using IDisposable ordinary = inference_mode(false);
        try
        {
            foreach (LayerSite site in sites)
            {
                layers.Add(Observe(site));
            }
        }
        catch
        {
            Dispose(); // a layer that could not be observed must not leave the others changed
            throw;
        }
    }

    /// <summary>Finds the layers of a model that can be observed.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="filter">Module name and module; layers for which it is false are left out.</param>
    /// <param name="filterName">What messages call the filter.</param>
    /// <returns>At least one linear layer in floating point, each with a weight that can be run.</returns>
    /// <exception cref="QuantizationException">There is none, one cannot be run, or one is observed already.</exception>
    public static IReadOnlyList<LayerSite> Find(nn.Module model, Func<string, nn.Module, bool>? filter, string filterName)
    {
        LayerSite[] sites =
        [
            .. ModuleWalker.Find(model).Where(site =>
                site.Linear is not null && site.Executor is null && filter?.Invoke(site.Name, site.Layer) != false),
        ];
        if (sites.Length == 0)
        {
            throw new QuantizationException(
                $"model {model.GetType().Name}: there is no Linear in floating point that the filter admits, so there is nothing to watch. " +
                $"Change {filterName} or pass a model that is not quantized yet; nothing was changed.");
        }

        foreach (LayerSite site in sites)
        {
            RequireWeight(site, filterName);
        }

        return sites;
    }

    private static void RequireWeight(LayerSite site, string filterName)
    {
        Parameter weight = site.FloatWeight ?? throw new QuantizationException($"module '{site.Name}': the layer has no weight.");
        if (weight.IsInvalid)
        {
            throw new ObjectDisposedException(site.Name, $"module '{site.Name}': the weight was disposed; pass a living model.");
        }

        if (QuantizedPlaceholder.Find(weight) is not null)
        {
            throw new QuantizationException(
                $"module '{site.Name}' is watched by another run. Complete or dispose that one first; nothing was changed.");
        }

        if (weight.device_type is not (TorchSharp.DeviceType.CPU or TorchSharp.DeviceType.CUDA) || weight.dim() != 2 || weight.numel() == 0)
        {
            throw new QuantizationException(
                $"module '{site.Name}': the weight [{string.Join(", ", weight.shape)}] on {weight.device} cannot be run, expected values on cpu or cuda. " +
                $"Load the model first, or leave the layer out by {filterName}; nothing was changed.");
        }
    }

    /// <summary>Gives every layer its weight back: the same objects as before.</summary>
    public void Dispose()
    {
        foreach (Observed layer in layers)
        {
            Restore(layer);
        }

        layers.Clear();
    }

    /// <summary>Gets a layer's weight while it is observed; owned by the observation.</summary>
    public Parameter WeightOf(LayerSite site) => layers.Find(layer => layer.Site == site)!.Weight;

    /// <summary>Gets a layer's bias while it is observed; owned by the layer.</summary>
    public static Parameter? BiasOf(LayerSite site) => QuantizedPlaceholder.BiasOf(site.Linear!);

    private Observed Observe(LayerSite site)
    {
        Linear linear = site.Linear!;
        Parameter weight = linear.weight!;
        bool trainsBias = linear.bias is { requires_grad: true };
        bool hasBias = linear.bias is not null;
        QuantizedPlaceholder placeholder = QuantizedPlaceholder.Create(
            weight.size(0),
            weight.size(1),
            weight.device,
            input => Forward(site, weight, input),
            gradient => gradient.mm(weight));
        LinearParameters.TakeWeight(linear); // or installing would dispose it
        placeholder.InstallInto(linear);
        return new Observed(site, weight, hasBias, trainsBias);
    }

    private Tensor Forward(LayerSite site, Tensor weight, Tensor input)
    {
        using IDisposable noGradient = no_grad();
        lock (gate)
        {
            show(site, input);
        }

        return nn.functional.linear(input, weight, BiasOf(site));
    }

    private static void Restore(Observed layer)
    {
        Linear linear = layer.Site.Linear!;
        Parameter? bias = BiasOf(layer.Site);
        linear.weight = layer.Weight; // disposes the placeholder
        if (layer.HasBias)
        {
            LinearParameters.PutBias(linear, bias!);
            bias!.requires_grad = layer.TrainsBias;
        }
    }

    private sealed record Observed(LayerSite Site, Parameter Weight, bool HasBias, bool TrainsBias);
}
