using TorchAO.Formats.Half.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Half;

/// <summary>16-bit floating point, for models in float32.</summary>
internal sealed class HalfFormat : Format<HalfTensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "half";

    public override string Name => FormatName;

    public override string Summary => "16-bit floating point (bfloat16, float16), activations as they are; 16 bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } = [new HalfWeightOnlyHandler()];

    protected override IReadOnlyList<ILinearKernel<HalfTensor>> LinearKernels { get; } =
    [
        new HalfLinearCpu(),
        new CudaGemvLinear<HalfTensor>("half.cuda.gemv", weight => CudaWeight.OfTensor(weight.QData), "one product of 16-bit weights is libtorch's"),
    ];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new HalfGrid(ScalarType.BFloat16);

    public override QuantizedTensor Read(StoredTensor stored) => HalfTensor.Read(stored);
}
