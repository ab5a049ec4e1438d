using TorchAO.Formats.Float8.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;

namespace TorchAO.Formats.Float8;

/// <summary>8-bit floating point, one scale for each row or for the weight.</summary>
internal sealed class Float8Format : Format<Float8Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "float8";

    public override string Name => FormatName;

    public override string Summary => "8-bit floating point (e4m3fn, e5m2), one scale a row or weight; 8 bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } =
    [
        new Float8WeightOnlyHandler(),
        new Float8DynamicActivationFloat8WeightHandler(),
        new Float8StaticActivationFloat8WeightHandler(),
    ];

    protected override IReadOnlyList<ILinearKernel<Float8Tensor>> LinearKernels { get; } =
    [
        new Float8LinearCpu(),
        new CudaGemvLinear<Float8Tensor>("float8.cuda.gemv", LookCuda),
    ];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Float8Grid(
        ScalarTypes.Float8E4M3, Float8Granularity.PerRow);

    public override QuantizedTensor Read(StoredTensor stored) => Float8Tensor.Read(stored);

    private static CudaWeight LookCuda(Float8Tensor weight) => new(
        weight.QData.dtype == ScalarTypes.Float8E4M3 ? CudaCode.E4M3 : CudaCode.E5M2, weight.Shape, weight.QData, weight.Scale);
}
