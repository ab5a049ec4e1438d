using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>
/// Integer codes from 0 to <c>2ᵇ − 1</c> with a scale a group and a zero point of any kind: none, where the middle code
/// <c>2ᵇ⁻¹</c> stands for zero; a value, that of the middle code; or a code, the one that stands for zero.
/// </summary>
/// <remarks>Which kind a zero point is, its type says: a floating-point type for a value, an integer type for a code.</remarks>
internal sealed class UnsignedCodes
{
    private static readonly UnsignedCodes[] All = [.. Enumerable.Range(1, 8).Select(bits => new UnsignedCodes(bits))];

    private readonly AffineScheme byValue;
    private readonly AffineScheme byCode;

    private UnsignedCodes(int bits)
    {
        var target = QuantizedType.Unsigned(bits);
        Middle = 1 << (bits - 1);
        byCode = new AffineScheme(target) { Mapping = MappingType.Asymmetric };
        byValue = byCode with { Domain = ZeroPointDomain.Float, PreserveZero = false };
    }

    /// <summary>Gets the middle code, <c>2ᵇ⁻¹</c>.</summary>
    public int Middle { get; }

    /// <summary>Finds the codes of 1 to 8 bits.</summary>
    public static UnsignedCodes Of(int bits) => All[bits - 1];

    /// <summary>Says what kind a zero point is.</summary>
    public static ZeroPointDomain DomainOf(Tensor? zeroPoint) => zeroPoint switch
    {
        null => ZeroPointDomain.None,
        _ when StoredTensorReader.IsWeightType(zeroPoint.dtype) => ZeroPointDomain.Float,
        _ => ZeroPointDomain.Integer,
    };

    /// <summary>Rounds a weight to codes.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>.</param>
    /// <param name="qparams">Parameters <c>[N, K / group]</c>.</param>
    /// <returns>Codes, uint8 <c>[N, K]</c>. The caller disposes them.</returns>
    public Tensor Quantize(Tensor weight, QParams qparams)
    {
        if (qparams.ZeroPoint is not null)
        {
            return AffineRows.Quantize(weight, qparams, SchemeOf(qparams));
        }

        using var shifted = new QParams(qparams.Scale.alias(), full_like(qparams.Scale, Middle));
        return AffineRows.Quantize(weight, shifted, byCode);
    }

    /// <summary>Computes the values of codes.</summary>
    /// <param name="codes">Codes, uint8 <c>[N, K]</c>.</param>
    /// <param name="qparams">Parameters <c>[N, K / group]</c>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        AffineRows.Dequantize(codes, qparams, SchemeOf(qparams), dtype);

    private AffineScheme SchemeOf(QParams qparams) =>
        DomainOf(qparams.ZeroPoint) == ZeroPointDomain.Integer ? byCode : byValue;
}
