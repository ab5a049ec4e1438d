using TorchAO.Lifecycle;
using TorchSharp;

namespace TorchAO.Checkpoints;

/// <summary>How a checkpoint is loaded into a model.</summary>
public sealed record LoadOptions
{
    /// <summary>Gets where layers and parameters go that are on the meta device.</summary>
    /// <value>The CPU by default. What has values already stays on its device.</value>
    public torch.Device? Device { get; init; }

    /// <summary>Gets whether the file's probe is run after loading.</summary>
    /// <value><see langword="true"/> by default. Off, a model that computes something else is not noticed.</value>
    public bool VerifiesProbe { get; init; } = true;

    /// <summary>Gets who is told of each quantized layer as it is read; the model changes after the last.</summary>
    public IProgress<LayerReport>? Progress { get; init; }

    /// <summary>Gets the token that stops the work between two tensors; the model is then as it was.</summary>
    public CancellationToken CancellationToken { get; init; }
}
