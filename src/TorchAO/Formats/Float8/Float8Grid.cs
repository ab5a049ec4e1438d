using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8;

/// <summary>The values of 8-bit floating point: <c>code · scale</c>, the largest magnitude at the type's largest value.</summary>
/// <param name="codeType">float8 e4m3fn or e5m2.</param>
/// <param name="isPerRow">Whether each row has a scale; else the weight has one.</param>
internal sealed class Float8Grid(ScalarType codeType, bool isPerRow) : IQuantizationGrid
{
    private readonly float largest = (float)ScalarTypes.Of(codeType).Largest;

    public QParams ChooseQParams(Tensor weight)
    {
        using IDisposable noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor magnitude = weight.detach().abs().amax(isPerRow ? [1] : [0, 1], keepdim: true);
        return new QParams((magnitude / largest).clamp(min: 1.1920929e-7f).MoveToOuterDisposeScope());
    }

    public Tensor Quantize(Tensor weight, QParams qparams) =>
        RowBlocks.Compute(weight.size(0), weight.size(1), (start, count) =>
        {
            using var scope = NewDisposeScope();
            using QParams rows = RowBlocks.Narrow(qparams, start, count);
            Tensor values = weight.narrow(0, start, count) * rows.Scale.reciprocal();
            return values.clamp(-largest, largest).to(codeType).MoveToOuterDisposeScope();
        });

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => ToValues(codes, qparams, dtype);

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        new Float8Tensor(dtype, codes.clone(), qparams.Scale.clone());

    /// <summary>Computes the values of codes.</summary>
    /// <param name="codes">Codes <c>[N, K]</c>.</param>
    /// <param name="qparams">Scales <c>[N, 1]</c> or <c>[1, 1]</c>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor ToValues(Tensor codes, QParams qparams, ScalarType dtype) =>
        RowBlocks.Compute(codes.size(0), codes.size(1), (start, count) =>
        {
            using var scope = NewDisposeScope();
            using QParams rows = RowBlocks.Narrow(qparams, start, count);
            return (codes.narrow(0, start, count).to(dtype) * rows.Scale).to(dtype).MoveToOuterDisposeScope();
        });
}
