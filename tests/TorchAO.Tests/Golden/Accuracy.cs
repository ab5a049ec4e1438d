using static TorchSharp.torch;

namespace TorchAO.Tests.Golden;

/// <summary>How close a result is, as torchao's tables state it.</summary>
internal static class Accuracy
{
    /// <summary>Computes <c>20 · log₁₀(‖expected‖ / ‖expected − actual‖)</c>.</summary>
    public static double Decibels(Tensor expected, Tensor actual)
    {
        Tensor reference = expected.to(ScalarType.Float64);
        Tensor error = reference - actual.to(ScalarType.Float64);
        return 20 * Math.Log10(reference.norm().item<double>() / error.norm().item<double>());
    }
}
