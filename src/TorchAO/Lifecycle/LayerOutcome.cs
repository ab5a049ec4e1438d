namespace TorchAO.Lifecycle;

/// <summary>What became, or would become, of a layer.</summary>
public enum LayerOutcome
{
    /// <summary>The layer was replaced by a quantized layer object.</summary>
    Swapped,

    /// <summary>The layer object stayed, because its holder admits no other class; its weight was replaced inside.</summary>
    InPlace,

    /// <summary>The layer was quantized before this call and stays as it is.</summary>
    AlreadyQuantized,

    /// <summary>A rule or the filter excludes the layer.</summary>
    Excluded,

    /// <summary>The config does not fit the layer; the reason says why.</summary>
    Skipped,
}
