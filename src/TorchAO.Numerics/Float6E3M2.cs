namespace TorchAO.Numerics;

/// <summary>
/// Six bits: sign, three of exponent (bias 3), two of mantissa; neither infinity nor NaN.
/// OCP Microscaling Formats (MX) specification 1.0, 2023.
/// </summary>
public readonly struct Float6E3M2 : INumberFormat<Float6E3M2>
{
    private static readonly float[] Values = MiniFloat.DecodeTable(3, 2);

    /// <inheritdoc/>
    public static int Bits => 6;

    /// <inheritdoc/>
    public static int ExponentBits => 3;

    /// <inheritdoc/>
    public static int MantissaBits => 2;

    /// <inheritdoc/>
    public static int MaxExponent => 4;

    /// <inheritdoc/>
    public static float MaxValue => 28f;

    /// <inheritdoc/>
    public static float MinNormal => 0.25f;

    /// <inheritdoc/>
    public static float MinSubnormal => 0.0625f;

    /// <inheritdoc/>
    public static bool HasInfinity => false;

    /// <inheritdoc/>
    public static bool HasNaN => false;

    private static MiniFloatLayout Layout => MiniFloatLayout.Finite(3, 2);

    /// <summary>
    /// The nearest code, ties to the even one; everything beyond ±28 becomes the largest value of its sign. NaN has no
    /// code here: it becomes code 14 with its sign, the same byte as in torchao, and the block's scale has to tell.
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
