namespace TorchAO.Numerics;

/// <summary>
/// A floating-point format of at most eight bits, as static members, so that a kernel written over
/// <typeparamref name="TSelf"/> is compiled once per format with all constants folded in.
/// </summary>
/// <typeparam name="TSelf">The format.</typeparam>
public interface INumberFormat<TSelf>
    where TSelf : struct, INumberFormat<TSelf>
{
    /// <summary>Width of a code in bits, sign included; a code lies in the low bits of a byte.</summary>
    static abstract int Bits { get; }

    /// <summary>Bits of the exponent field.</summary>
    static abstract int ExponentBits { get; }

    /// <summary>Bits of the mantissa field, without the hidden one.</summary>
    static abstract int MantissaBits { get; }

    /// <summary>The power of two of <see cref="MaxValue"/>: floor(log2(MaxValue)).</summary>
    static abstract int MaxExponent { get; }

    /// <summary>The largest finite value.</summary>
    static abstract float MaxValue { get; }

    /// <summary>The smallest positive value with a hidden one.</summary>
    static abstract float MinNormal { get; }

    /// <summary>The smallest positive value.</summary>
    static abstract float MinSubnormal { get; }

    /// <summary>Whether infinities have codes.</summary>
    static abstract bool HasInfinity { get; }

    /// <summary>Whether NaN has codes.</summary>
    static abstract bool HasNaN { get; }

    /// <summary>The nearest code, ties to the even one; beyond the largest value as the format's own cast does.</summary>
    static abstract byte Encode(float value);

    /// <summary>The nearest code, ties to the even one; beyond the largest value, infinity included, the largest.</summary>
    static virtual byte EncodeSaturating(float value) => TSelf.Encode(value);

    /// <summary>
    /// One of the two neighbouring codes, the farther one with a probability equal to the distance from the nearer;
    /// saturates. The expected decoded value is <paramref name="value"/>.
    /// </summary>
    /// <param name="value">What to round.</param>
    /// <param name="random">32 uniform random bits, see <see cref="CounterRandom"/>.</param>
    static abstract byte EncodeStochastic(float value, uint random);

    /// <summary>The value of a code. Bits above the code's width are ignored.</summary>
    static abstract float Decode(byte code);

    /// <summary>Encodes each element as <see cref="Encode(float)"/> does.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    static abstract void Encode(ReadOnlySpan<float> source, Span<byte> destination);

    /// <summary>Encodes each element as <see cref="EncodeSaturating(float)"/> does.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    static virtual void EncodeSaturating(ReadOnlySpan<float> source, Span<byte> destination) =>
        TSelf.Encode(source, destination);

    /// <summary>Decodes each code.</summary>
    /// <exception cref="ArgumentException">The destination is shorter than the source.</exception>
    static abstract void Decode(ReadOnlySpan<byte> source, Span<float> destination);
}
