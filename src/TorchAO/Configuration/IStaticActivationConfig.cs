namespace TorchAO.Configuration;

/// <summary>A config that rounds activations to a grid chosen beforehand, from the range a layer's inputs had in a calibration.</summary>
public interface IStaticActivationConfig
{
    /// <summary>Gets whether the config has no grid for activations yet; one that has keeps it, whatever was measured.</summary>
    bool NeedsRange { get; }

    /// <summary>Makes the config for a layer whose inputs had a range.</summary>
    /// <param name="min">The smallest input.</param>
    /// <param name="max">The largest input.</param>
    /// <returns>The same config with a grid over the range; one that it had is replaced.</returns>
    /// <exception cref="QuantizationException">The range is not finite, is upside down or holds zero alone; the config is wrong.</exception>
    QuantizeConfig WithRange(float min, float max);
}
