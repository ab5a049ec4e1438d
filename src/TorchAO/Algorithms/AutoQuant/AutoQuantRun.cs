using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>A model that is watched: run it as it is to be used, then <see cref="Complete"/> measures and quantizes.</summary>
/// <remarks>
/// torchao's <c>autoquant(manual=True)</c> and <c>finalize_autoquant()</c>. Until <see cref="Complete"/> or
/// <see cref="Dispose"/> the model is to be run and nothing else; <see cref="Dispose"/> alone leaves it as it was.
/// </remarks>
public sealed class AutoQuantRun : IDisposable
{
    private readonly nn.Module model;
    private readonly FormatCatalog catalog;
    private readonly IReadOnlyList<QuantizeConfig> candidates;
    private readonly AutoQuantOptions options;
    private readonly Dictionary<LayerSite, LayerWorkload> workloads = [];
    private readonly LinearObservation observation;
    private bool isOver;

    internal AutoQuantRun(
        nn.Module model, FormatCatalog catalog, IReadOnlyList<QuantizeConfig> candidates, AutoQuantOptions options)
    {
        (this.model, this.catalog, this.candidates, this.options) = (model, catalog, candidates, options);
        IReadOnlyList<LayerSite> sites = LinearObservation.Find(model, options.Filter, "AutoQuantOptions.Filter");
        RequireCandidates(WeightFacts.Of(sites[0].FloatWeight!));
        foreach (LayerSite site in sites)
        {
            workloads.Add(site, new LayerWorkload(site));
        }

        observation = new LinearObservation(sites, (site, input) => workloads[site].Add(input));
    }

    /// <summary>Measures every candidate for what the layers were asked to do, and quantizes the model by the choices.</summary>
    /// <returns>What was measured and chosen.</returns>
    /// <exception cref="InvalidOperationException">The run is over.</exception>
    /// <exception cref="QuantizationException">A layer was never reached, a candidate is wrong, or a layer cannot be quantized;
    /// the model is as it was.</exception>
    /// <exception cref="InvalidDataException">The file of measurements is damaged; the model is as it was.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the model is as it was.</exception>
    public AutoQuantReport Complete()
    {
        if (isOver)
        {
            throw new InvalidOperationException("The run is over, and a model is measured once; begin another with PrepareAutoQuantize().");
        }

        isOver = true;
        observation.Dispose();
        try
        {
            using IDisposable ordinary = inference_mode(false);
            using IDisposable noGradient = no_grad();
            RequireReached();
            var decision = new LayerDecision(catalog, candidates, options);
            IReadOnlyList<AutoQuantLayer> layers = decision.Decide([.. workloads.Values]);
            return Quantize(layers);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Stops watching; the model is as it was unless <see cref="Complete"/> changed it.</summary>
    public void Dispose()
    {
        isOver = true;
        observation.Dispose();
        Release();
    }

    private AutoQuantReport Quantize(IReadOnlyList<AutoQuantLayer> layers)
    {
        var rules = new ModuleRules();
        foreach (AutoQuantLayer layer in layers)
        {
            rules.Add(layer.Name, layer.Choice?.Config ?? ModuleRules.Skip); // names hold no wildcards
        }

        rules.Add("*", ModuleRules.Skip);
        QuantizeReport? quantization = layers.Any(layer => layer.Choice?.Config is not null)
            ? ModelQuantizer.Quantize(
                model, rules, catalog, new QuantizeOptions { KeepQuantized = true, CancellationToken = options.CancellationToken })
            : null;
        return new AutoQuantReport(layers, rules, quantization);
    }

    private void RequireCandidates(WeightFacts anyWeight)
    {
        if (candidates.Count == 0)
        {
            throw new ArgumentException("AutoQuantOptions.Candidates is empty; name at least one config, or leave it null for the default.");
        }

        for (int i = 0; i < candidates.Count; i++)
        {
            int twin = Enumerable.Range(0, i).FirstOrDefault(other => candidates[other] == candidates[i], -1);
            if (twin >= 0)
            {
                throw new ArgumentException(
                    $"candidates {twin + 1} and {i + 1} are both {ConfigText.Write(catalog, candidates[i])}; remove one of the two.");
            }

            try
            {
                IQuantizeHandler handler = catalog.Handler(candidates[i]);
                handler.Activation(candidates[i]);
                handler.ReasonToSkip(anyWeight, candidates[i]);
            }
            catch (QuantizationException e)
            {
                throw new QuantizationException(
                    $"candidate {i + 1}, {ConfigText.Write(catalog, candidates[i])}: {e.Message} Correct the candidate or leave it out; nothing was changed.", e);
            }
        }
    }

    private void RequireReached()
    {
        string[] unseen = [.. workloads.Values.Where(workload => workload.Sample is null).Select(workload => workload.Site.Name)];
        if (unseen.Length == workloads.Count || (unseen.Length > 0 && !options.AllowUnseen))
        {
            throw new QuantizationException(
                $"model {model.GetType().Name}: {unseen.Length} of {workloads.Count} layers were not reached by the example inputs: " +
                $"{string.Join(", ", unseen.Take(20))}{(unseen.Length > 20 ? ", ..." : string.Empty)}. Run the model on inputs that reach them, " +
                "leave them out by AutoQuantOptions.Filter, or set AllowUnseen; nothing was changed.");
        }
    }

    private void Release()
    {
        foreach (LayerWorkload workload in workloads.Values)
        {
            workload.Dispose();
        }
    }
}
