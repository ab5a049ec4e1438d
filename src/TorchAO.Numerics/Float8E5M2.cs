namespace TorchAO.Numerics;

/// <summary>
/// Eight bits: sign, five of exponent (bias 15), two of mantissa; infinities and NaN as in IEEE 754 ("e5m2").
/// Micikevicius et al., "FP8 Formats for Deep Learning", 2022.
/// </summary>
public readonly struct Float8E5M2 : INumberFormat<Float8E5M2>
{
    private static readonly float[] Values = CreateValues();

    /// <inheritdoc/>
    public static int Bits => 8;

    /// <inheritdoc/>
    public static int ExponentBits => 5;

    /// <inheritdoc/>
    public static int MantissaBits => 2;

    /// <inheritdoc/>
    public static int MaxExponent => 15;

    /// <inheritdoc/>
    public static float MaxValue => 57344f;

    /// <inheritdoc/>
    public static float MinNormal => 6.103515625E-05f;

    /// <inheritdoc/>
    public static float MinSubnormal => 1.52587890625E-05f;

    /// <inheritdoc/>
    public static bool HasInfinity => true;

    /// <inheritdoc/>
    public static bool HasNaN => true;

    private static MiniFloatLayout Cast => new(5, 2, Limit: 0x7C, NaN: 0x7F);

    private static MiniFloatLayout Saturating => new(5, 2, Limit: 0x7B, NaN: 0x7F);

    /// <summary>
    /// The nearest code, ties to the even one, as PyTorch casts: magnitudes from 61440 (half a step beyond 57344) on
    /// become infinity.
    /// </summary>
    public static byte Encode(float value) => MiniFloat.Encode(value, Cast);

    /// <summary>
    /// The nearest code, ties to the even one; values beyond ±57344 and infinities become the largest value of their
    /// sign. NaN stays NaN.
    /// </summary>
    public static byte EncodeSaturating(float value) => MiniFloat.Encode(value, Saturating);

    /// <inheritdoc/>
    public static byte EncodeStochastic(float value, uint random) =>
        MiniFloat.EncodeStochastic(value, random, Saturating);

    /// <inheritdoc/>
    public static float Decode(byte code) => Values[code];

    /// <inheritdoc/>
    public static void Encode(ReadOnlySpan<float> source, Span<byte> destination) =>
        MiniFloat.Encode(source, destination, Cast);

    /// <inheritdoc/>
    public static void EncodeSaturating(ReadOnlySpan<float> source, Span<byte> destination) =>
        MiniFloat.Encode(source, destination, Saturating);

    /// <inheritdoc/>
    public static void Decode(ReadOnlySpan<byte> source, Span<float> destination) =>
        MiniFloat.Decode(source, destination, Values);

    private static float[] CreateValues()
    {
        float[] values = MiniFloat.DecodeTable(ExponentBits, MantissaBits);
        values[0x7C] = float.PositiveInfinity;
        values[0xFC] = float.NegativeInfinity;
        for (int mantissa = 1; mantissa < 4; mantissa++)
        {
            values[0x7C | mantissa] = float.NaN;
            values[0xFC | mantissa] = -float.NaN;
        }

        return values;
    }
}
