using TorchAO.Formats.Nf4.Kernels;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Nf4;

/// <summary>Sixteen quantiles of a normal distribution, blocks of scales that are quantized themselves (QLoRA).</summary>
internal sealed class Nf4Format : Format<Nf4Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "nf4";

    public override string Name => FormatName;

    public override string Summary =>
        "4-bit quantiles of a normal distribution in blocks of 64, their scales in 8 bits; 4 bits and 1/8 bit a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } = [new NF4WeightOnlyHandler()];

    protected override IReadOnlyList<ILinearKernel<Nf4Tensor>> LinearKernels { get; } = [new Nf4LinearCpu()];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Nf4Grid(
        inFeatures % Nf4Quantization.UsualBlockSize == 0 ? Nf4Quantization.UsualBlockSize : inFeatures,
        Nf4Quantization.UsualScalerBlockSize);

    public override QuantizedTensor Read(StoredTensor stored) => Nf4Tensor.Read(stored);
}
