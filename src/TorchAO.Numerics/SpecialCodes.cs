namespace TorchAO.Numerics;

/// <summary>Which codes of a small floating-point format are not numbers.</summary>
public enum SpecialCodes
{
    /// <summary>None: every code is finite, and NaN has nothing to become.</summary>
    None,

    /// <summary>The largest magnitude is NaN; there is no infinity ("fn").</summary>
    NaN,

    /// <summary>The largest exponent is infinity and NaN, as in IEEE 754.</summary>
    InfinityAndNaN,
}
