using TorchAO.Numerics;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>What a pass over a weight is to make: how scales are chosen, how values become codes and where these go.</summary>
/// <param name="Rule">How values become codes.</param>
/// <param name="Choice">How scales are chosen.</param>
/// <param name="Bits">Bits of a code, 1 to 8.</param>
/// <param name="Layout">Where codes lie in a row.</param>
/// <param name="Group">Input features that share a scale; K or more for whole rows.</param>
internal sealed record WeightPlan(CodeRule Rule, ScaleChoice Choice, int Bits, CodeLayout Layout, long Group) : IDisposable
{
    /// <summary>Gets the element type of the packed codes.</summary>
    public ScalarType CodeType { get; init; } = ScalarType.Byte;

    /// <summary>Gets the type of scales; that of the weight if absent.</summary>
    public ScalarType? ScaleType { get; init; }

    /// <summary>Gets what zero points are. Values are in the type of the weight.</summary>
    public CudaZeroPoint ZeroKind { get; init; }

    /// <summary>Gets whether one scale is for all rows.</summary>
    public bool IsShared { get; init; }

    /// <summary>Gets the scale that is given, float32 <c>[1, 1]</c>, with <see cref="ScaleChoice.Given"/>; the pass gives it back.</summary>
    public Tensor? Given { get; init; }

    /// <summary>Gets whether zero lies in every group's range.</summary>
    public bool PreservesZero { get; init; } = true;

    /// <summary>Gets the number by which a range is divided to have a scale.</summary>
    public double Divisor { get; init; }

    /// <summary>Gets the smallest scale; with small floats the smallest magnitude.</summary>
    public double Smallest { get; init; }

    /// <summary>Gets the range of codes by which scales and zero points are chosen.</summary>
    public (double Least, double Most) ChosenFor { get; init; }

    /// <summary>Gets the code that stands for zero without zero points, and for a zero point that is a value.</summary>
    public double Middle { get; init; }

    /// <summary>Gets the range of codes, or of floats before they are rounded to codes.</summary>
    public (double Least, double Most) Range { get; init; }

    /// <summary>Gets the exponent and fraction bits of codes that are floats.</summary>
    public (int Exponent, int Mantissa) FloatBits { get; init; }

    /// <summary>Gets the exponent of the largest float, with <see cref="ScaleChoice.Exponent"/>.</summary>
    public int MaxExponent { get; init; }

    /// <summary>Gets how exponents are chosen.</summary>
    public ScaleRounding Scaling { get; init; }

    /// <summary>Gets the sixteen values of codes, with <see cref="CodeRule.Table"/>; they are rounded to the type of the weight.</summary>
    public ReadOnlyMemory<float> Table { get; init; }

    /// <summary>Plans integer codes with a scale a group.</summary>
    /// <param name="choice">The scheme by which scales and zero points are chosen; its scales are of the weight's type.</param>
    /// <param name="codes">The codes, from 0 or from the least signed integer.</param>
    /// <param name="bits">Bits of a code.</param>
    /// <param name="layout">Where codes lie in a row.</param>
    /// <param name="group">Input features that share a scale.</param>
    /// <exception cref="ArgumentException">No pass has the scheme's types.</exception>
    public static WeightPlan Integers(AffineScheme choice, QuantizedType codes, int bits, CodeLayout layout, long group)
    {
        CudaZeroPoint zeroKind = (choice.Domain, choice.Mapping, choice.ZeroPointType) switch
        {
            (ZeroPointDomain.None, _, _) => CudaZeroPoint.None,
            (ZeroPointDomain.Float, MappingType.Asymmetric, null) => CudaZeroPoint.Value,
            (ZeroPointDomain.Integer, MappingType.Asymmetric, ScalarType.Byte) => CudaZeroPoint.Byte,
            (ZeroPointDomain.Integer, MappingType.Asymmetric, ScalarType.Int32) => CudaZeroPoint.Int32,
            _ => throw new ArgumentException(
                $"A pass over a weight got {choice.Mapping} codes with zero points of {choice.Domain} and type {choice.ZeroPointType?.ToString() ?? "of the weight"}, " +
                "expected none, values in the weight's type, or codes in uint8 or int32.", nameof(choice)),
        };
        bool isUnsigned = codes.Min == 0;
        return Affine(choice, zeroKind == CudaZeroPoint.Value ? CodeRule.Values : CodeRule.Steps, bits, layout, group) with
        {
            CodeType = isUnsigned ? ScalarType.Byte : ScalarType.Int8,
            ZeroKind = zeroKind,
            Middle = isUnsigned ? codes.Middle : 0,
            Range = (codes.Min, codes.Max),
        };
    }

    /// <summary>Plans float8 codes with a scale a row, or one for all.</summary>
    /// <param name="scheme">The scheme.</param>
    /// <param name="isShared">Whether one scale is for all.</param>
    public static WeightPlan Float8(AffineScheme scheme, bool isShared) =>
        Affine(scheme, CodeRule.Float8, 8, CodeLayout.Bytes, int.MaxValue) with
        {
            CodeType = scheme.Target.Storage,
            ScaleType = scheme.ScaleType,
            IsShared = isShared,
            Range = (scheme.Target.Min, scheme.Target.Max),
            FloatBits = scheme.Target == QuantizedType.Float8E4M3 ? (4, 3) : (5, 2),
        };

    /// <summary>Gets the bytes of a row.</summary>
    /// <param name="k">K.</param>
    public long RowBytes(long k) => Layout switch
    {
        CodeLayout.Bytes => k,
        CodeLayout.Nibbles => (k + 1) / 2,
        CodeLayout.Stream => ((k * Bits) + 7) / 8,
        _ => (k + 7) / 8 * Bits,
    };

    /// <summary>Disposes the scale that is given.</summary>
    public void Dispose() => Given?.Dispose();

    private static WeightPlan Affine(AffineScheme scheme, CodeRule rule, int bits, CodeLayout layout, long group)
    {
        QuantizedType target = scheme.Target;
        ScaleChoice choice = scheme.Mapping switch
        {
            MappingType.Symmetric => ScaleChoice.Symmetric,
            MappingType.SymmetricNoClippingError => ScaleChoice.NoClipping,
            _ => ScaleChoice.Asymmetric,
        };
        return new(rule, choice, bits, layout, group)
        {
            PreservesZero = scheme.PreserveZero,
            Divisor = (target.Max - target.Min) / (choice == ScaleChoice.Asymmetric ? 1 : 2),
            Smallest = scheme.Epsilon ?? throw new ArgumentException("A pass over a weight got no smallest scale.", nameof(scheme)),
            ChosenFor = (target.Min, target.Max),
        };
    }
}
