using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace TorchAO.Numerics;

/// <summary>
/// Rounds binary32 to a format of at most eight bits and back. A code lies in the low bits of a byte: sign, exponent,
/// mantissa.
/// </summary>
/// <typeparam name="TFormat">The format, for instance <see cref="Float8E4M3"/>.</typeparam>
[SuppressMessage(
    "Design", "CA1000", Justification = "The format is the point of the call: FloatCodec<Float8E4M3>.Encode(x).")]
public static class FloatCodec<TFormat>
    where TFormat : struct, INumberFormat
{
    private static readonly float[] Values = CreateValues();

    /// <summary>Width of a code in bits, sign included.</summary>
    public static int Bits => 1 + TFormat.ExponentBits + TFormat.MantissaBits;

    /// <summary>The power of two of <see cref="MaxValue"/>: floor(log2(MaxValue)).</summary>
    public static int MaxExponent => (LargestFinite >> TFormat.MantissaBits) - Saturating.Bias;

    /// <summary>The largest finite value.</summary>
    public static float MaxValue => Values[LargestFinite];

    /// <summary>The smallest positive value with a hidden one.</summary>
    public static float MinNormal => Values[1 << TFormat.MantissaBits];

    /// <summary>The smallest positive value.</summary>
    public static float MinSubnormal => Values[1];

    /// <summary>Whether infinities have codes.</summary>
    public static bool HasInfinity => TFormat.Specials == SpecialCodes.InfinityAndNaN;

    /// <summary>Whether NaN has codes.</summary>
    public static bool HasNaN => TFormat.Specials != SpecialCodes.None;

    private static int LargestMagnitude => (1 << (Bits - 1)) - 1;

    private static int LargestFinite => TFormat.Specials switch
    {
        SpecialCodes.None => LargestMagnitude,
        SpecialCodes.NaN => LargestMagnitude - 1,
        _ => LargestMagnitude - (1 << TFormat.MantissaBits),
    };

    private static MiniFloatLayout Saturating => HasNaN
        ? new(TFormat.ExponentBits, TFormat.MantissaBits, (uint)LargestFinite, (uint)LargestMagnitude)
        : MiniFloatLayout.Finite(TFormat.ExponentBits, TFormat.MantissaBits);

    // The code after the largest finite one is infinity where there is one, else NaN.
    private static MiniFloatLayout Cast => HasNaN ? Saturating with { Limit = (uint)LargestFinite + 1 } : Saturating;

    /// <summary>
    /// The nearest code, ties to the even one, as PyTorch casts. What rounds beyond <see cref="MaxValue"/> becomes
    /// infinity, in a format without infinity NaN, in a format without both the largest value of its sign. NaN has no
    /// code in the last: it becomes what is left of its bits, the same byte as in torchao, and the block's scale has to
    /// tell.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte Encode(float value) => MiniFloat.Encode(value, Cast);

    /// <summary>
    /// The nearest code, ties to the even one; beyond the largest value, infinity included, the largest of its sign. NaN
    /// is treated as in <see cref="Encode(float)"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte EncodeSaturating(float value) => MiniFloat.Encode(value, Saturating);

    /// <summary>
    /// One of the two neighbouring codes, the farther one with a probability equal to the distance from the nearer;
    /// saturates. The expected decoded value is <paramref name="value"/>.
    /// </summary>
    /// <param name="value">What to round.</param>
    /// <param name="random">32 uniform random bits, see <see cref="CounterRandom"/>.</param>
    public static byte EncodeStochastic(float value, uint random) =>
        MiniFloat.EncodeStochastic(value, random, Saturating);

    /// <summary>The value of a code. Bits above the code's width are ignored.</summary>
    public static float Decode(byte code) => Values[code];

    /// <summary>Encodes each element as <see cref="Encode(float)"/> does.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void Encode(ReadOnlySpan<float> source, Span<byte> destination) =>
        MiniFloat.Encode(source, destination, Cast);

    /// <summary>Encodes each element as <see cref="EncodeSaturating(float)"/> does.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void EncodeSaturating(ReadOnlySpan<float> source, Span<byte> destination) =>
        MiniFloat.Encode(source, destination, Saturating);

    /// <summary>Decodes each code.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public static void Decode(ReadOnlySpan<byte> source, Span<float> destination) =>
        MiniFloat.Decode(source, destination, Values);

    private static float[] CreateValues()
    {
        float[] values = MiniFloat.DecodeTable(TFormat.ExponentBits, TFormat.MantissaBits);
        for (int magnitude = LargestFinite + 1; magnitude <= LargestMagnitude; magnitude++)
        {
            bool isInfinity = HasInfinity && magnitude == LargestFinite + 1;
            float special = isInfinity ? float.PositiveInfinity : MiniFloat.PositiveNaN;
            values[magnitude] = special;
            values[magnitude | (LargestMagnitude + 1)] = -special;
        }

        return values;
    }
}
