namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>How a value becomes a code; the values of <c>RULE_*</c> in <c>quantize_codes.cuh</c>.</summary>
internal enum CodeRule
{
    /// <summary>Steps of the scale, by its reciprocal, from a zero point that is a code.</summary>
    Steps = 1,

    /// <summary>Steps of the scale from a zero point that is a value.</summary>
    Values = 2,

    /// <summary>A cast to float8 that saturates.</summary>
    Float8 = 3,

    /// <summary>The nearest small float without infinities.</summary>
    SmallFloat = 4,

    /// <summary>The nearest entry of a table.</summary>
    Table = 5,

    /// <summary>The quotient by the scale, rounded.</summary>
    Divided = 6,
}
