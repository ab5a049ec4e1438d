using TorchAO.Configuration;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>One candidate for one layer.</summary>
/// <param name="Candidate">The config in its short form, or <c>float</c> for the layer as it is.</param>
/// <param name="Config">The config; <see langword="null"/> for the layer as it is.</param>
/// <param name="Milliseconds">The mean over the layer's calls, each shape by its own median; <see langword="null"/> if refused.</param>
/// <param name="Bytes">The size of the weight in this form.</param>
/// <param name="SqnrDecibels">20·log10(‖y‖ / ‖y − ŷ‖) of the layer's output on activations it saw, where it was measured: for
/// candidates that were about to win.</param>
/// <param name="Kernel">What runs for the layer's most frequent count of rows.</param>
/// <param name="Reason">Why the candidate cannot win, or <see langword="null"/>.</param>
public sealed record AutoQuantTiming(
    string Candidate,
    QuantizeConfig? Config,
    double? Milliseconds,
    long Bytes,
    double? SqnrDecibels = null,
    string? Kernel = null,
    string? Reason = null);
