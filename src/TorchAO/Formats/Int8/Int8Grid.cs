using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int8;

/// <summary>The values of symmetric int8: <c>code · scale</c> with codes from -128 to 127.</summary>
/// <param name="groupSize">The count of consecutive input features that share one scale.</param>
internal sealed class Int8Grid(long groupSize) : IQuantizationGrid
{
    public QParams ChooseQParams(Tensor weight)
    {
        using IDisposable noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor groups = weight.detach().reshape(weight.size(0), -1, groupSize);
        return new QParams((groups.abs().amax([2]) / 127.5f).clamp(min: 1.1920929e-7f).MoveToOuterDisposeScope());
    }

    public Tensor Quantize(Tensor weight, QParams qparams) =>
        RowBlocks.Compute(weight.size(0), weight.size(1), (start, count) =>
        {
            using var scope = NewDisposeScope();
            Tensor scale = qparams.Scale.narrow(0, start, count).repeat_interleave(weight.size(1) / qparams.Scale.size(1), 1);
            return (weight.narrow(0, start, count) * scale.reciprocal()).round().clamp(-128, 127).to(ScalarType.Int8)
                .MoveToOuterDisposeScope();
        });

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) =>
        RowBlocks.Compute(codes.size(0), codes.size(1), (start, count) =>
        {
            using var scope = NewDisposeScope();
            Tensor scale = qparams.Scale.narrow(0, start, count).repeat_interleave(codes.size(1) / qparams.Scale.size(1), 1);
            return (codes.narrow(0, start, count).to(dtype) * scale).to(dtype).MoveToOuterDisposeScope();
        });

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) =>
        new Int8Tensor(dtype, codes.clone(), qparams.Scale.clone());
}
