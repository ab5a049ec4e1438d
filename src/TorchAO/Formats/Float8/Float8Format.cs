using TorchAO.Formats.Float8.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;

namespace TorchAO.Formats.Float8;

/// <summary>8-bit floating point, one scale for each row or for the weight.</summary>
internal sealed class Float8Format : Format<Float8Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "float8";

    // Measured on an H200: from here on a pass that dequantizes, and libtorch's product after it, are faster.
    private const int GemmRows = 1024;

    private static readonly DequantizedLinear<Float8Tensor> Dequantized = new("float8.cuda.dequantize", LookOnDevice);

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
        new CudaGemvLinear<Float8Tensor>("float8.cuda.gemv", weight => new(LookOnDevice(weight), weight.Shape)),
        new WeightOnlyGemm<Float8Tensor>("float8.cuda.gemm", GemmRows, LookOnDevice, Dequantized),
        new DynamicCodesLinear<Float8Tensor>(
            "float8.cuda.scaled_mm", ScalarTypes.Float8E4M3, LookOnDevice, ScaledProduct.ReasonToRefuse, ScaledProduct.Run, Dequantized),
        new DynamicCodesLinear<Float8Tensor>(
            "float8.cuda.gemm_float8", ScalarTypes.Float8E4M3, LookOnDevice, CodesGemm.ReasonToRefuse, CodesGemm.Run, Dequantized),
        Dequantized,
    ];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Float8Grid(
        ScalarTypes.Float8E4M3, Float8Granularity.PerRow);

    public override QuantizedTensor Read(StoredTensor stored) => Float8Tensor.Read(stored);

    private static StoredCodes LookOnDevice(Float8Tensor weight) => new(
        weight.QData, CodeLayout.Bytes, 8,
        weight.QData.dtype == ScalarTypes.Float8E4M3 ? CodeValue.Float8E4M3 : CodeValue.Float8E5M2, weight.Scale);
}
