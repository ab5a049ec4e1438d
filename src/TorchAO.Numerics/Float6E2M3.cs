namespace TorchAO.Numerics;

/// <summary>
/// Six bits: sign, two of exponent (bias 1), three of mantissa; neither infinity nor NaN.
/// OCP Microscaling Formats (MX) specification 1.0, 2023.
/// </summary>
public readonly struct Float6E2M3 : INumberFormat<Float6E2M3>
{
    private static readonly float[] Values = MiniFloat.DecodeTable(2, 3);

    /// <inheritdoc/>
    public static int Bits => 6;

    /// <inheritdoc/>
    public static int ExponentBits => 2;

    /// <inheritdoc/>
    public static int MantissaBits => 3;

    /// <inheritdoc/>
    public static int MaxExponent => 2;

    /// <inheritdoc/>
    public static float MaxValue => 7.5f;

    /// <inheritdoc/>
    public static float MinNormal => 1f;

    /// <inheritdoc/>
    public static float MinSubnormal => 0.125f;

    /// <inheritdoc/>
    public static bool HasInfinity => false;

    /// <inheritdoc/>
    public static bool HasNaN => false;

    private static MiniFloatLayout Layout => MiniFloatLayout.Finite(2, 3);

    /// <summary>
    /// The nearest code, ties to the even one; everything beyond ±7.5 becomes the largest value of its sign. NaN has no
    /// code here: it becomes code 12 with its sign, the same byte as in torchao, and the block's scale has to tell.
    /// </summary>
    public static byte Encode(float value) => MiniFloat.Encode(value, Layout);

    /// <inheritdoc/>
    public static byte EncodeStochastic(float value, uint random) =>
        MiniFloat.EncodeStochastic(value, random, Layout);

    /// <inheritdoc/>
    public static float Decode(byte code) => Values[code];

    /// <inheritdoc/>
    public static void Encode(ReadOnlySpan<float> source, Span<byte> destination) =>
        MiniFloat.Encode(source, destination, Layout);

    /// <inheritdoc/>
    public static void Decode(ReadOnlySpan<byte> source, Span<float> destination) =>
        MiniFloat.Decode(source, destination, Values);
}
