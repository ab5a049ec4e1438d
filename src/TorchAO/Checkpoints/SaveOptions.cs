namespace TorchAO.Checkpoints;

/// <summary>How a quantized checkpoint is written.</summary>
public sealed record SaveOptions
{
    /// <summary>Gets the token that stops the work between two tensors; what stood under the path stays.</summary>
    public CancellationToken CancellationToken { get; init; }
}
