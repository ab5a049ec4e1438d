namespace TorchAO.Primitives;

/// <summary>What a zero point is.</summary>
public enum ZeroPointDomain
{
    /// <summary>A code: <c>x = (q − z) · s</c>.</summary>
    Integer,

    /// <summary>A value, the one of the code in the middle: <c>x = (q − mid) · s + z</c>, as the 4-bit products of
    /// libtorch want it.</summary>
    Float,

    /// <summary>There is none: <c>x = q · s</c>.</summary>
    None,
}
