using TorchAO.Lifecycle;

namespace TorchAO.Checkpoints;

/// <summary>What loading a quantized checkpoint did.</summary>
/// <param name="Quantized">A row for each quantized layer: format, road, kernel, bytes.</param>
/// <param name="ProbeDifference">‖got − saved‖ / ‖saved‖ over the probe's output, 0 where every bit agrees;
/// <see langword="null"/> where the file has no probe or it was not run.</param>
public sealed record LoadReport(QuantizeReport Quantized, double? ProbeDifference);
