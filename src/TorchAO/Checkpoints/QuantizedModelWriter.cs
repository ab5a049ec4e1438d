using System.Text.Json.Nodes;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Lifecycle;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>Writes a quantized model as one safetensors file: the same file whichever road its layers took.</summary>
internal static class QuantizedModelWriter
{
    /// <summary>Writes a file, which appears whole or not at all.</summary>
    public static void Save(nn.Module model, string path, Tensor? probe, SaveOptions options)
    {
        CancellationToken cancellation = options.CancellationToken;
        ModelState state = ModelState.Of(model);
        RequireSavable(model, state);
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        var tensors = new SortedDictionary<string, Tensor>(StringComparer.Ordinal);
        var weights = new List<WeightRecord>();
        foreach (LayerSite site in state.Quantized)
        {
            weights.Add(AddWeight(tensors, site));
        }

        var tied = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (IReadOnlyList<StateEntry> group in ModelState.Tied(state.Entries.Where(entry => entry.IsPersistent)))
        {
            Add(tensors, group[0].Name, group[0].Value);
            foreach (StateEntry further in group.Skip(1))
            {
                tied.Add(further.Name, group[0].Name);
            }
        }

        if (probe is not null)
        {
            Tensor output = ModelProbe.Run(model, state, probe);
            ModelProbe.RequireComparable(model, output);
            Add(tensors, CheckpointManifest.ProbeInput, probe);
            Add(tensors, CheckpointManifest.ProbeOutput, output);
        }

        Write(path, tensors, new(Library, weights, tied, Checksums(tensors, cancellation), probe is not null), cancellation);
    }

    private static string Library => typeof(QuantizedModelWriter).Assembly.GetName().Version!.ToString(3);

    private static void RequireSavable(nn.Module model, ModelState state)
    {
        if (state.Quantized.Count == 0)
        {
            throw new QuantizationException(
                $"model {model.GetType().Name}: no layer is quantized; call Quantize first, or save a float model with TorchSharp's save.");
        }

        if (state.Entries.FirstOrDefault(entry => entry.IsPersistent && entry.IsMeta) is { } empty)
        {
            throw new QuantizationException(
                $"'{empty.Name}' is on the meta device and has no values; load the model's weights before saving it.");
        }
    }

    private static WeightRecord AddWeight(SortedDictionary<string, Tensor> tensors, LayerSite site)
    {
        QuantizedTensor weight = ModelState.QuantizedWeight(site);
        string name = ModelState.WeightOf(site);
        foreach (TensorComponent component in weight.Components)
        {
            Add(tensors, $"{name}.{component.Name}", component.Value);
        }

        JsonObject? config = ModelState.Origin(site) is { } origin ? JsonNode.Parse(origin)!.AsObject() : null;
        return new WeightRecord(name, weight.Format, weight.Shape, weight.DType, weight.DescribeParameters(), ModelState.Activation(site), config);
    }

    private static void Add(SortedDictionary<string, Tensor> tensors, string name, Tensor tensor)
    {
        if (!tensors.TryAdd(name, tensor))
        {
            throw new QuantizationException($"'{name}': two tensors of the model have this name; rename one of them.");
        }
    }

    // The header stands before the data and holds the checksums, so that the tensors are read twice.
    private static Dictionary<string, uint> Checksums(SortedDictionary<string, Tensor> tensors, CancellationToken cancellation)
    {
        var checksums = new Dictionary<string, uint>(StringComparer.Ordinal);
        foreach ((string name, Tensor tensor) in tensors)
        {
            cancellation.ThrowIfCancellationRequested();
            checksums.Add(name, TensorChecksum.Of(tensor));
        }

        return checksums;
    }

    private static void Write(
        string path, SortedDictionary<string, Tensor> tensors, CheckpointManifest manifest, CancellationToken cancellation)
    {
        using var writer = new SafetensorsWriter(
            path,
            tensors.Select(pair => new TensorInfo(pair.Key, pair.Value.dtype, pair.Value.shape)),
            new Dictionary<string, string> { [CheckpointManifest.MetadataKey] = manifest.ToJson() });
        foreach ((string name, Tensor tensor) in tensors)
        {
            cancellation.ThrowIfCancellationRequested();
            writer.Write(name, tensor);
        }

        writer.Commit();
    }
}
