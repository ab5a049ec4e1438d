namespace TorchAO.Models.Llama;

/// <summary>How rotary frequencies are stretched for sequences longer than those of the first training.</summary>
public abstract record RopeScaling
{
    /// <summary>Changes a frequency.</summary>
    /// <param name="frequency">Radians a token.</param>
    public abstract double Apply(double frequency);
}
