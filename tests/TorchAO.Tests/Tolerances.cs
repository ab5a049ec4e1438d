using static TorchSharp.torch;

namespace TorchAO.Tests;

/// <summary>How far results may differ, one line a class of format, each with its reason. Integer paths have none.</summary>
internal static class Tolerances
{
    /// <summary>In steps: rounding to nearest moves a value by half a step; float32 divides and multiplies twice, each with
    /// a relative error of 2⁻²⁴ on up to 128 steps.</summary>
    public const double HalfStep = 0.5 + (4 * 128 / 16777216.0);

    /// <summary>Relative: a float32 product over K elements errs by √K · 2⁻²⁴ of the norm; 10⁻⁶ a root leaves room for the
    /// order of summation.</summary>
    public static double Product(long k) => 1e-6 * Math.Sqrt(k);

    /// <summary>Relative: bfloat16 keeps 8 bits, and a product rounds its input and its output.</summary>
    public const double BFloat16Product = 2.0 / 256;

    /// <summary>Relative: float16 keeps 11 bits, and a product rounds its input and its output.</summary>
    public const double Float16Product = 2.0 / 2048;

    /// <summary>Relative to the product of an activation row's largest magnitude and the sum of a weight row's magnitudes: kernels that put
    /// float32 activations into 24 bits of fixed point move each by at most this.</summary>
    public const double FixedPoint = 1.004 / 8388608;

    /// <summary>Relative to the sum of magnitudes <c>Σ |x · w|</c>: a unit in the last place of the activations' type for each
    /// of weight, product and result; sums in float32 lanes add far less.</summary>
    public static double QuantizedProduct(ScalarType activationType) => 3 * activationType switch
    {
        ScalarType.BFloat16 => 1.0 / 256,
        ScalarType.Float16 => 1.0 / 2048,
        _ => 1.0 / 8388608,
    };
}
