namespace TorchAO.Numerics;

/// <summary>Rounding to integers, the two ways that quantizers do it.</summary>
public static class Rounding
{
    /// <summary>The nearest integer, ties to the even one; NaN and infinities stay.</summary>
    public static float NearestEven(float value) => MathF.Round(value, MidpointRounding.ToEven);

    /// <summary>
    /// One of the two neighbouring integers, the upper with a probability equal to the fraction, so that the expected
    /// result is <paramref name="value"/>; integers, NaN and infinities stay.
    /// </summary>
    /// <param name="value">What to round.</param>
    /// <param name="random">32 uniform random bits, see <see cref="CounterRandom"/>.</param>
    public static float Stochastic(float value, uint random)
    {
        float below = MathF.Floor(value);

        // In binary64 neither the fraction nor its comparison with 32 random bits is rounded.
        return random < ((double)value - below) * 4294967296.0 ? below + 1 : below;
    }
}
