using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Half;

/// <summary>The finite values of bfloat16 or float16.</summary>
/// <param name="codeType">The type of the codes, which are their values.</param>
internal sealed class HalfGrid(ScalarType codeType) : IQuantizationGrid
{
    private double Largest => codeType == ScalarType.Float16 ? 65504 : (2 - Math.Pow(2, -7)) * Math.Pow(2, 127);

    /// <summary>Gives a scale of one, since the seam asks for a step; nothing stores it.</summary>
    public QParams ChooseQParams(Tensor weight) => new(ones(1, 1, dtype: ScalarType.Float32, device: weight.device));

    // A cast alone would make infinities of what lies beyond the type's range.
    public Tensor Quantize(Tensor weight, QParams qparams) => RowBlocks.Compute(weight, rows =>
    {
        using Tensor wide = rows.to(ScalarType.Float32);
        using Tensor bounded = wide.clamp(-Largest, Largest);
        return bounded.to(codeType);
    });

    public Tensor Dequantize(Tensor codes, QParams qparams, ScalarType dtype) => codes.to(dtype, copy: true);

    public QuantizedTensor Pack(Tensor codes, QParams qparams, ScalarType dtype) => new HalfTensor(dtype, codes.clone());
}
