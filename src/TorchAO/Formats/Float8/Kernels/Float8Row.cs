using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8.Kernels;

/// <summary>One row of a float8 weight, and how its bytes become float32.</summary>
/// <remarks>
/// A code's magnitude, shifted so that its exponent ends where float32's does, is the value divided by a power of two:
/// 2^120 for e4m3fn, whose bias is 7 and not 127, and 2^112 for e5m2. That holds for subnormal codes too, so two bit
/// operations and an exact product decode a code. What it does not hold for is the few codes above the largest finite one.
/// </remarks>
internal readonly unsafe ref struct Float8Row
{
    private const float TwoTo112 = 5.192296858534828e33f;
    private const float TwoTo120 = 1.329227995784916e36f;

    /// <summary>Looks at a row.</summary>
    /// <param name="codes">K codes.</param>
    /// <param name="type"><see cref="ScalarTypes.Float8E4M3"/> or <see cref="ScalarTypes.Float8E5M2"/>.</param>
    /// <param name="length">K.</param>
    public Float8Row(byte* codes, ScalarType type, int length)
    {
        bool isE4M3 = type == ScalarTypes.Float8E4M3;
        Codes = codes;
        Length = length;
        IsE4M3 = isE4M3;
        (Shift, Factor, LargestFinite) = isE4M3 ? (20, TwoTo120, (byte)0x7E) : (21, TwoTo112, (byte)0x7B);
    }

    public byte* Codes { get; }

    public int Length { get; }

    /// <summary>Gets whether codes are e4m3fn; e5m2 otherwise.</summary>
    public bool IsE4M3 { get; }

    /// <summary>Gets the places by which a code goes up to stand under float32's exponent.</summary>
    public int Shift { get; }

    /// <summary>Gets the bits of a shifted code that are sign, exponent and fraction: the rest are copies of the sign.</summary>
    public int Mask => int.MinValue | (0x7F << Shift);

    /// <summary>Gets the power of two between the shifted code and the value.</summary>
    public float Factor { get; }

    /// <summary>Gets the magnitude above which codes are infinite or no number.</summary>
    public byte LargestFinite { get; }
}
