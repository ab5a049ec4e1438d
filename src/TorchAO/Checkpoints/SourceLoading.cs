using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>Fills a model from floating-point tensors on disk, one at a time, and quantizes layers on the way.</summary>
internal static class SourceLoading
{
    private static readonly Dictionary<string, string> NoTies = [];

    /// <summary>Loads all parameters and buffers in floating point.</summary>
    public static void Load(nn.Module model, ITensorSource source, FormatCatalog catalog, LoadOptions options)
    {
        ModelState state = ModelState.Of(model);
        RequireFloat(state);
        StateMatch match = Match(source);
        IReadOnlyList<(IReadOnlyList<StateEntry> Places, string Tensor)> values = match.Match(state, new HashSet<LayerSite>());
        match.RequireAllUsed();
        using var assembly = new ModelAssembly(catalog);
        using IDisposable ordinary = inference_mode(false);
        Collect(assembly, source, values, options.Device, options.CancellationToken);
        assembly.Commit();
    }

    /// <summary>Quantizes the layers that rules name as their weights are read, and loads the rest in floating point.</summary>
    public static QuantizeReport Quantize(
        nn.Module model, ITensorSource source, ModuleRules rules, FormatCatalog catalog, QuantizeOptions options)
    {
        ModelState state = ModelState.Of(model);
        RequireFloat(state);
        IReadOnlyList<LayerPlan> plans = QuantizePlan.MakeStreamed(state.Tree.Sites, rules, catalog, options);
        QuantizePlan.RequireCoverage(model, new([.. plans.Select(plan => plan.Report)]), options);

        StateMatch match = Match(source);
        LayerSite[] quantized = [.. plans.Where(plan => plan.Handler is not null).Select(plan => plan.Site)];
        Dictionary<LayerSite, string> weights = MatchWeights(match, state, quantized);
        IReadOnlyList<(IReadOnlyList<StateEntry> Places, string Tensor)> values = match.Match(state, quantized.ToHashSet());
        match.RequireAllUsed();

        using var assembly = new ModelAssembly(catalog);
        return ModelQuantizer.Quantize(
            plans,
            catalog,
            options,
            plan =>
            {
                NativeHeap.Trim(); // what the layer before needed is not needed any more
                using Tensor weight = Read(source, weights[plan.Site], plan.Site.FloatWeight!.dtype, plan.Device!);
                return weight.reshape(LayerSite.RowShape(weight));
            },
            () =>
            {
                Collect(assembly, source, values, options.Device, options.CancellationToken);
                assembly.Commit();
            });
    }

    private static StateMatch Match(ITensorSource source) => new(
        source.Path, source.Tensors.Select(tensor => tensor.Name), NoTies, source.Describe, convertsFloats: true);

    private static void RequireFloat(ModelState state)
    {
        if (state.Quantized.Count > 0)
        {
            throw new QuantizationException(
                $"module '{state.Quantized[0].Name}' is quantized already, expected a floating-point model; load into a freshly " +
                "built one, or call Dequantize() first. Nothing was changed.");
        }
    }

    // A layer that shares its weight with others finds it under any of their names.
    private static Dictionary<LayerSite, string> MatchWeights(StateMatch match, ModelState state, LayerSite[] quantized)
    {
        var wanted = quantized.ToHashSet();
        var weights = new Dictionary<LayerSite, string>();
        foreach (IReadOnlyList<StateEntry> group in ModelState.Tied(state.Entries.Where(entry => entry.IsPersistent)))
        {
            foreach (StateEntry entry in group.Where(entry => entry.Site is not null && wanted.Contains(entry.Site)))
            {
                weights.Add(entry.Site!, match.Find(group, entry));
            }
        }

        return weights;
    }

    private static void Collect(
        ModelAssembly assembly,
        ITensorSource source,
        IReadOnlyList<(IReadOnlyList<StateEntry> Places, string Tensor)> values,
        Device? device,
        CancellationToken cancellation)
    {
        foreach ((IReadOnlyList<StateEntry> places, string tensor) in values)
        {
            cancellation.ThrowIfCancellationRequested();
            assembly.Add(
                places, Read(source, tensor, places[0].Value.dtype, places[0].IsMeta ? device ?? CPU : places[0].Value.device));
        }
    }

    private static Tensor Read(ITensorSource source, string name, ScalarType dtype, Device device)
    {
        using Tensor stored = source.Read(name);
        return stored.to(dtype, device);
    }
}
