namespace TorchAO.Models.Llama;

/// <summary>Llama 3.1's rule: slow frequencies are divided, fast ones stay, those between change over smoothly.</summary>
/// <param name="Factor">The divisor of slow frequencies.</param>
/// <param name="LowFrequencyFactor">Wavelengths above <c>OriginalMaxPositions / LowFrequencyFactor</c> are slow.</param>
/// <param name="HighFrequencyFactor">Wavelengths below <c>OriginalMaxPositions / HighFrequencyFactor</c> are fast.</param>
/// <param name="OriginalMaxPositions">The longest sequence of the first training.</param>
public sealed record Llama3RopeScaling(
    double Factor, double LowFrequencyFactor, double HighFrequencyFactor, double OriginalMaxPositions) : RopeScaling
{
    /// <inheritdoc/>
    public override double Apply(double frequency)
    {
        double turns = OriginalMaxPositions * frequency / (2 * Math.PI);
        double share = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
        return ((1 - share) * frequency / Factor) + (share * frequency);
    }
}
