using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Measures how far quantization moved a tensor.</summary>
public static class SignalToNoise
{
    /// <summary>Computes <c>20 · log₁₀(‖reference‖ / ‖reference − actual‖)</c>.</summary>
    /// <param name="reference">The exact values.</param>
    /// <param name="actual">The values to judge, of the same shape.</param>
    /// <returns>Decibels; 6 dB more halve the error. Positive infinity where nothing differs.</returns>
    /// <remarks>torchao's <c>compute_error</c>, computed in float64.</remarks>
    /// <exception cref="QuantizationException">The shapes differ.</exception>
    public static double Decibels(Tensor reference, Tensor actual)
    {
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(actual);
        if (!reference.shape.AsSpan().SequenceEqual(actual.shape))
        {
            throw new QuantizationException(
                $"An error was asked between [{string.Join(", ", reference.shape)}] and " +
                $"[{string.Join(", ", actual.shape)}]: expected equal shapes.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor exact = reference.to_type(ScalarType.Float64);
        double signal = exact.norm().item<double>();
        double noise = (exact - actual.to_type(ScalarType.Float64)).norm().item<double>();
        return noise == 0 ? double.PositiveInfinity : 20 * Math.Log10(signal / noise);
    }
}
