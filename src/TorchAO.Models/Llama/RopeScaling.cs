namespace TorchAO.Models.Llama;

/// <summary>How rotary frequencies are stretched for sequences longer than those of the first training.</summary>
public abstract record RopeScaling
{
    /// <summary>Changes a frequency.</summary>
    /// <param name="frequency">Radians a token.</param>
    public abstract double Apply(double frequency);
}

/// <summary>Divides all frequencies by a factor (position interpolation, Chen et al. 2023, arXiv:2306.15595).</summary>
/// <param name="Factor">The factor, at least 1.</param>
public sealed record LinearRopeScaling(double Factor) : RopeScaling
{
    /// <inheritdoc/>
    public override double Apply(double frequency) => frequency / Factor;
}

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
