using TorchAO.Numerics;

namespace TorchAO.Primitives;

/// <summary>What the arithmetic of MX blocks needs to know of an element type: one line a type.</summary>
/// <param name="Name">torchao's name, which is also the one on disk.</param>
/// <param name="Type">The element type.</param>
/// <param name="Codes">The codes as small floats; where the largest magnitudes are NaN or infinity, clamping keeps off them.</param>
/// <param name="MaxExponent">The exponent of the largest value: what a block's scale leaves to its elements.</param>
/// <param name="Largest">The largest value.</param>
/// <param name="Values">The value of each byte; narrow codes repeat.</param>
internal sealed record MxElement(
    string Name, MxElementType Type, FloatxType Codes, int MaxExponent, float Largest, IReadOnlyList<float> Values)
{
    /// <summary>Gets all element types.</summary>
    public static IReadOnlyList<MxElement> All { get; } =
    [
        Create<Float8E4M3>("float8_e4m3fn", MxElementType.Float8E4M3),
        Create<Float8E5M2>("float8_e5m2", MxElementType.Float8E5M2),
        Create<Float6E3M2>("fp6_e3m2", MxElementType.Float6E3M2),
        Create<Float6E2M3>("fp6_e2m3", MxElementType.Float6E2M3),
        Create<Float4E2M1>("fp4_e2m1", MxElementType.Float4E2M1),
    ];

    /// <summary>Gets the bits of a code.</summary>
    public int Bits => Codes.Bits;

    /// <summary>Finds a type.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The enum has no such member.</exception>
    public static MxElement Of(MxElementType type) => All.FirstOrDefault(element => element.Type == type)
        ?? throw new ArgumentOutOfRangeException(nameof(type), type, "expected a member of MxElementType.");

    private static MxElement Create<TFormat>(string name, MxElementType type)
        where TFormat : struct, INumberFormat => new(
            name,
            type,
            new FloatxType(TFormat.ExponentBits, TFormat.MantissaBits),
            FloatCodec<TFormat>.MaxExponent,
            FloatCodec<TFormat>.MaxValue,
            [.. Enumerable.Range(0, 256).Select(code => FloatCodec<TFormat>.Decode((byte)code))]);
}
