namespace TorchAO.Numerics;

/// <summary>How the power-of-two scale of a block follows from the block's largest magnitude.</summary>
public enum ScaleRounding
{
    /// <summary>floor(log2(max)) less the element's largest exponent: the rule of the OCP specification; may clip.</summary>
    Floor,

    /// <summary>ceil(log2(max)) less the element's largest exponent.</summary>
    Ceiling,

    /// <summary>As <see cref="Floor"/>, after rounding the maximum's mantissa to the element's width, ties upward.</summary>
    Even,

    /// <summary>The smallest power of two that brings the maximum within the element's range: never clips.</summary>
    RoundUp,
}
