using TorchSharp;

namespace TorchAO.Algorithms.AutoQuant;

/// <summary>What was measured for one layer, and what won.</summary>
/// <param name="Name">The module's name.</param>
/// <param name="OutFeatures">N.</param>
/// <param name="InFeatures">K.</param>
/// <param name="ActivationType">The type of the activations it saw.</param>
/// <param name="Calls">How often it was called with each count of rows M; empty where it was never reached.</param>
/// <param name="Timings">All candidates, the fastest first, those that are refused last.</param>
/// <param name="Choice">The one that won; <see langword="null"/> where the layer was never reached.</param>
public sealed record AutoQuantLayer(
    string Name,
    long OutFeatures,
    long InFeatures,
    torch.ScalarType ActivationType,
    IReadOnlyList<AutoQuantCalls> Calls,
    IReadOnlyList<AutoQuantTiming> Timings,
    AutoQuantTiming? Choice)
{
    /// <summary>Gets how many times faster the choice is than the layer as it was; 1 where it stays.</summary>
    public double Speedup => Choice?.Config is null
        ? 1
        : Timings.First(timing => timing.Config is null).Milliseconds!.Value / Choice.Milliseconds!.Value;
}
