namespace TorchAO.Models.Llama;

/// <summary>Divides all frequencies by a factor (position interpolation, Chen et al. 2023, arXiv:2306.15595).</summary>
/// <param name="Factor">The factor, at least 1.</param>
public sealed record LinearRopeScaling(double Factor) : RopeScaling
{
    /// <inheritdoc/>
    public override double Apply(double frequency) => frequency / Factor;
}
