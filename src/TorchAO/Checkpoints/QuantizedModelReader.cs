using TorchAO.Formats;
using TorchAO.Lifecycle;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>Puts a quantized checkpoint into a model: verify all, read all, place all, run the probe.</summary>
internal static class QuantizedModelReader
{
    /// <summary>Loads a file.</summary>
    public static LoadReport Load(nn.Module model, string path, FormatCatalog catalog, LoadOptions options)
    {
        using QuantizedFile file = QuantizedFile.Open(path);
        ModelState state = ModelState.Of(model);
        RequireFresh(state);
        file.VerifyWeights(catalog);
        IReadOnlyList<(LayerSite Site, WeightRecord Weight)> layers = MatchLayers(file, state);
        var match = new StateMatch(path, file.Plain, file.Manifest.Tied, file.Describe, convertsFloats: false);
        IReadOnlyList<(IReadOnlyList<StateEntry> Places, string Tensor)> values = match.Match(state, layers.Select(layer => layer.Site).ToHashSet());
        match.RequireAllUsed();
        RequireProbeFits(file, model, options);

        using var assembly = new ModelAssembly(catalog);
        using IDisposable ordinary = inference_mode(false);
        Device meta = options.Device ?? CPU;
        foreach ((LayerSite site, WeightRecord weight) in layers)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            Device own = site.FloatWeight!.device;
            Device device = own.type == DeviceType.META ? meta : own;
            LayerReport row = assembly.Add(
                site, Read(file, weight, catalog, device), weight.Activation, weight.Config?.ToJsonString());
            options.Progress?.Report(row);
        }

        foreach ((IReadOnlyList<StateEntry> places, string tensor) in values)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            using Tensor stored = file.Read(tensor);
            assembly.Add(places, stored.to(places[0].IsMeta ? meta : places[0].Value.device));
        }

        var report = new QuantizeReport(assembly.Commit());
        return new LoadReport(report, file.Manifest.HasProbe && options.VerifiesProbe ? Verify(file, model) : null);
    }

    private static void RequireFresh(ModelState state)
    {
        if (state.Quantized.Count > 0)
        {
            throw new QuantizationException(
                $"module '{state.Quantized[0].Name}' is quantized already as {ModelState.QuantizedWeight(state.Quantized[0]).Format}, " +
                "expected a floating-point model; load into a freshly built one, or call Dequantize() first. Nothing was changed.");
        }
    }

    private static List<(LayerSite Site, WeightRecord Weight)> MatchLayers(QuantizedFile file, ModelState state)
    {
        var byWeight = new Dictionary<string, LayerSite>(StringComparer.Ordinal);
        foreach (LayerSite site in state.Tree.Sites.Where(site => site.FloatWeight is not null))
        {
            foreach (string name in ModelState.WeightNames(site))
            {
                byWeight[name] = site;
            }
        }

        var layers = new List<(LayerSite, WeightRecord)>();
        foreach (WeightRecord weight in file.Manifest.Weights)
        {
            string where = $"{file.Path}: {CheckpointException.Quote(weight.Name)}";
            if (!byWeight.TryGetValue(weight.Name, out LayerSite? site))
            {
                throw new CheckpointException(
                    CheckpointError.UnexpectedTensor, where, "the model has no layer for a quantized weight",
                    $"a {weight.Format} weight [{string.Join(", ", weight.Shape)}]",
                    $"the weight of a layer; near: {NearNames.List(weight.Name, byWeight.Keys)}",
                    "Build the model from the checkpoint's own configuration.");
            }

            Tensor own = site.FloatWeight!;
            if (!weight.Shape.SequenceEqual(LayerSite.RowShape(own)))
            {
                throw new CheckpointException(
                    CheckpointError.ShapeMismatch, where, "a quantized weight does not fit its layer",
                    $"[{string.Join(", ", weight.Shape)}]", $"[{string.Join(", ", own.shape)}]",
                    "Build the model from the checkpoint's own configuration.");
            }

            if (weight.DType != own.dtype)
            {
                throw new CheckpointException(
                    CheckpointError.DTypeMismatch, where, "the weight that was quantized had another type than the model",
                    $"{weight.DType}", $"{own.dtype}",
                    $"Build the model in {weight.DType}, for instance with model.to({weight.DType}) before loading.");
            }

            if (site.Kind != ModuleKinds.Linear && site.ReasonNotToSwap(site.QuantizedType) is { } reason)
            {
                throw new QuantizationException(
                    $"module '{site.Name}': the file has a quantized weight for it, and a {site.QuantizedType.Name} cannot take its " +
                    $"place: {reason}. Hold the layer in a place of type Module<Tensor, Tensor>; nothing was changed.");
            }

            layers.Add((site, weight));
        }

        var order = state.Tree.Sites.Index().ToDictionary(site => site.Item, site => site.Index);
        return [.. layers.OrderBy(layer => order[layer.Item1])];
    }

    private static void RequireProbeFits(QuantizedFile file, nn.Module model, LoadOptions options)
    {
        if (file.Manifest.HasProbe && options.VerifiesProbe && model is not nn.Module<Tensor, Tensor>)
        {
            throw new QuantizationException(
                $"model {model.GetType().Name}: the file's probe needs a Module<Tensor, Tensor>; load it with VerifiesProbe off, and " +
                "compare outputs yourself. Nothing was changed.");
        }
    }

    private static QuantizedTensor Read(QuantizedFile file, WeightRecord weight, FormatCatalog catalog, Device device)
    {
        QuantizedTensor stored = file.ReadWeight(catalog, weight);
        if (device.type == DeviceType.CPU)
        {
            return stored;
        }

        using (stored)
        {
            return stored.To(device);
        }
    }

    private static double Verify(QuantizedFile file, nn.Module model)
    {
        ModelState state = ModelState.Of(model);
        using Tensor stored = file.Read(CheckpointManifest.ProbeInput);
        using Tensor input = stored.to(ModelState.QuantizedWeight(state.Quantized[0]).Device);
        using Tensor expected = file.Read(CheckpointManifest.ProbeOutput);
        using Tensor got = ModelProbe.Run(model, state, input);
        double difference = ModelProbe.Difference(expected, got);
        bool roundsActivations = file.Manifest.Weights.Any(weight => weight.Activation is not null);
        double tolerance = ModelProbe.Tolerance(expected.dtype, roundsActivations) ?? 0;
        return difference <= tolerance ? difference : throw new CheckpointException(
            CheckpointError.ProbeMismatch, file.Path, "the loaded model computes something else than the model that was saved",
            $"a relative difference of {difference:g3} over the probe's output", $"at most {tolerance:g3} for {expected.dtype}",
            "The model holds the file's weights and must not be used: build it from the checkpoint's own configuration and code, or " +
            "save it again.");
    }
}
