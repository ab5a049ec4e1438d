namespace TorchAO.Lifecycle;

/// <summary>What a call of <c>Quantize</c> did, or what <c>Explain</c> says it would do, layer by layer.</summary>
/// <param name="Layers">A row for each linear layer, in the model's order.</param>
public sealed record QuantizeReport(IReadOnlyList<LayerReport> Layers)
{
    /// <summary>Gets the layers that run in a quantized format.</summary>
    public IEnumerable<LayerReport> Quantized => Layers.Where(layer => layer.IsQuantized);

    /// <summary>Gets the layers that this call quantized (or would).</summary>
    public IEnumerable<LayerReport> Changed =>
        Layers.Where(layer => layer.Outcome is LayerOutcome.Swapped or LayerOutcome.InPlace);

    /// <summary>Gets the layers whose config does not fit them.</summary>
    public IEnumerable<LayerReport> Skipped => Layers.Where(layer => layer.Outcome is LayerOutcome.Skipped);

    /// <summary>Gets the bytes of all listed weights before.</summary>
    public long BytesBefore => Layers.Sum(layer => layer.BytesBefore);

    /// <summary>Gets the bytes of all listed weights after.</summary>
    public long BytesAfter => Layers.Sum(layer => layer.BytesAfter);

    /// <summary>Gets the share of the listed weight bytes (before) that is in quantized layers, from 0 to 1.</summary>
    public double Coverage => BytesBefore == 0 ? 0 : (double)Quantized.Sum(layer => layer.BytesBefore) / BytesBefore;
}
