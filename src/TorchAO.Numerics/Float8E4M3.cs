namespace TorchAO.Numerics;

/// <summary>
/// Eight bits: sign, four of exponent (bias 7), three of mantissa; no infinity, NaN is 0x7F and 0xFF ("e4m3fn").
/// Micikevicius et al., "FP8 Formats for Deep Learning", 2022.
/// </summary>
public readonly struct Float8E4M3 : INumberFormat<Float8E4M3>
{
    private static readonly float[] Values = CreateValues();

    /// <inheritdoc/>
    public static int Bits => 8;

    /// <inheritdoc/>
    public static int ExponentBits => 4;

    /// <inheritdoc/>
    public static int MantissaBits => 3;

    /// <inheritdoc/>
    public static int MaxExponent => 8;

    /// <inheritdoc/>
    public static float MaxValue => 448f;

    /// <inheritdoc/>
    public static float MinNormal => 0.015625f;

    /// <inheritdoc/>
    public static float MinSubnormal => 0.001953125f;

    /// <inheritdoc/>
    public static bool HasInfinity => false;

    /// <inheritdoc/>
    public static bool HasNaN => true;

    private static MiniFloatLayout Cast => new(4, 3, Limit: 0x7F, NaN: 0x7F);

    private static MiniFloatLayout Saturating => new(4, 3, Limit: 0x7E, NaN: 0x7F);

    /// <summary>
    /// The nearest code, ties to the even one, as PyTorch casts: magnitudes above 464 (half a step beyond 448) and
    /// infinities become NaN.
    /// </summary>
    public static byte Encode(float value) => MiniFloat.Encode(value, Cast);

    /// <summary>
    /// The nearest code, ties to the even one; values beyond ±448 and infinities become the largest value of their
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
        values[0x7F] = float.NaN;
        values[0xFF] = -float.NaN;
        return values;
    }
}
