using TorchAO.Configuration;

namespace TorchAO.Lifecycle;

/// <summary>One layer's row in a report.</summary>
/// <param name="Name">The module's name; the root has the name <c>(root)</c>.</param>
/// <param name="Module">The module's class.</param>
/// <param name="Outcome">What became of it.</param>
/// <param name="Format">The format's name, where quantized.</param>
/// <param name="Config">The config that was applied or refused.</param>
/// <param name="Kernel">The kernel that a single row of activations runs, and why others do not.</param>
/// <param name="Reason">Why the layer was skipped or excluded, or why it was quantized in place.</param>
/// <param name="BytesBefore">Bytes of the weight before.</param>
/// <param name="BytesAfter">Bytes of the weight after; the same as before where it stays.</param>
/// <param name="SignalToNoiseDecibels">20·log10(‖W‖ / ‖W − dequantize(quantize(W))‖), where measured.</param>
public sealed record LayerReport(
    string Name,
    string Module,
    LayerOutcome Outcome,
    string? Format,
    QuantizeConfig? Config,
    string? Kernel,
    string? Reason,
    long BytesBefore,
    long BytesAfter,
    double? SignalToNoiseDecibels = null)
{
    /// <summary>Gets whether the layer runs in a quantized format after the call.</summary>
    public bool IsQuantized => Outcome is LayerOutcome.Swapped or LayerOutcome.InPlace or LayerOutcome.AlreadyQuantized;
}
