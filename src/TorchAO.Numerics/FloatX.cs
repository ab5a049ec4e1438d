namespace TorchAO.Numerics;

/// <summary>
/// A finite floating-point format of one sign bit, <see cref="ExponentBits"/> and <see cref="MantissaBits"/>, three to
/// eight bits in all, chosen at run time: e3m2, e2m2, e3m1, … It has neither infinity nor NaN.
/// Xia et al., "FP6-LLM: Efficiently Serving Large Language Models Through FP6-Centric Algorithm-System Co-Design", 2024.
/// </summary>
public sealed class FloatX
{
    private readonly MiniFloatLayout _layout;
    private readonly float[] _values;

    /// <summary>Describes a format.</summary>
    /// <param name="exponentBits">At least 1.</param>
    /// <param name="mantissaBits">At least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The whole is not three to eight bits wide.</exception>
    public FloatX(int exponentBits, int mantissaBits)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(exponentBits, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(mantissaBits);
        int bits = 1 + exponentBits + mantissaBits;
        if (bits is < 3 or > 8)
        {
            throw new ArgumentOutOfRangeException(
                nameof(mantissaBits), $"e{exponentBits}m{mantissaBits} has {bits} bits; expected 3 to 8.");
        }

        _layout = MiniFloatLayout.Finite(exponentBits, mantissaBits);
        _values = MiniFloat.DecodeTable(exponentBits, mantissaBits);
    }

    /// <summary>Bits of the exponent field.</summary>
    public int ExponentBits => _layout.ExponentBits;

    /// <summary>Bits of the mantissa field, without the hidden one.</summary>
    public int MantissaBits => _layout.MantissaBits;

    /// <summary>Width of a code in bits, sign included.</summary>
    public int Bits => 1 + ExponentBits + MantissaBits;

    /// <summary>The largest value; all codes are finite.</summary>
    public float MaxValue => _values[_layout.Limit];

    /// <summary>The smallest positive value with a hidden one, 2^(1 − bias).</summary>
    public float MinNormal => _values[1 << MantissaBits];

    /// <summary>The smallest positive value; equals <see cref="MinNormal"/> without a mantissa.</summary>
    public float MinSubnormal => _values[1];

    /// <summary>
    /// The nearest code, ties to the even one; saturates, infinities included. NaN has no code: it becomes what is left
    /// of its bits, as in torchao.
    /// </summary>
    public byte Encode(float value) => MiniFloat.Encode(value, _layout);

    /// <summary>One of the two neighbouring codes, with the expected decoded value <paramref name="value"/>; saturates.</summary>
    /// <param name="value">What to round.</param>
    /// <param name="random">32 uniform random bits, see <see cref="CounterRandom"/>.</param>
    public byte EncodeStochastic(float value, uint random) => MiniFloat.EncodeStochastic(value, random, _layout);

    /// <summary>The value of a code. Bits above the code's width are ignored.</summary>
    public float Decode(byte code) => _values[code];

    /// <summary>Encodes each element.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public void Encode(ReadOnlySpan<float> source, Span<byte> destination) =>
        MiniFloat.Encode(source, destination, _layout);

    /// <summary>Decodes each code.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    public void Decode(ReadOnlySpan<byte> source, Span<float> destination) =>
        MiniFloat.Decode(source, destination, _values);
}
