using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Everything about an affine grid except its blocks: which codes, how values map to them, in which types.</summary>
/// <remarks>One scheme serves choosing, quantizing and dequantizing, so they cannot disagree.</remarks>
/// <param name="Target">The codes.</param>
public sealed record AffineScheme(QuantizedType Target)
{
    /// <summary>Gets how values map to codes. Default: <see cref="MappingType.Symmetric"/>.</summary>
    public MappingType Mapping { get; init; } = MappingType.Symmetric;

    /// <summary>Gets what a zero point is. Default: <see cref="ZeroPointDomain.Integer"/>.</summary>
    public ZeroPointDomain Domain { get; init; } = ZeroPointDomain.Integer;

    /// <summary>Gets the smallest scale. Default: the distance from 1 to the next value in the type of the input.</summary>
    public double? Epsilon { get; init; }

    /// <summary>Gets the type of the scales. Default: the type of the input.</summary>
    public ScalarType? ScaleType { get; init; }

    /// <summary>Gets the type of the zero points. Default: the type of the input.</summary>
    public ScalarType? ZeroPointType { get; init; }

    /// <summary>Gets whether zero has a code of its own. Default: yes. No asks for the floating-point domain.</summary>
    public bool PreserveZero { get; init; } = true;
}
