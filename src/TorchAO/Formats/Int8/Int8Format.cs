using TorchAO.Formats.Int8.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu.Gemv;
using TorchAO.Kernels.Cpu.Panels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int8;

/// <summary>Symmetric int8, one scale for each row or group.</summary>
internal sealed class Int8Format : Format<Int8Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "int8";

    // Measured on [4096, 4096]: with more rows laying out panels pays, later where activations are one byte and not three.
    private const int GemvRows = 3;
    private const int GemvRowsOfCodes = 12;

    // Measured on an H200: from here on a pass that dequantizes, and libtorch's product after it, are faster.
    private const int GemmRows = 1024;

    private static readonly DequantizedLinear<Int8Tensor> Dequantized = new("int8.cuda.dequantize", LookOnDevice);

    public override string Name => FormatName;

    public override string Summary => "symmetric 8-bit integers, one scale a row or group; 8 bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } =
    [
        new Int8WeightOnlyHandler(),
        new Int8DynamicActivationInt8WeightHandler(),
    ];

    protected override IReadOnlyList<ILinearKernel<Int8Tensor>> LinearKernels { get; } =
    [
        new GemvLinear<Int8Tensor>("int8.cpu.gemv", 8, GemvRows, Look, new Int8LinearCpu()),
        new PanelGemm<Int8Tensor, Int8Columns>("int8.cpu.gemm", (weight, blocks) => new(weight, blocks), new Int8LinearCpu()),
        new DynamicGemv<Int8Tensor>("int8.cpu.gemv_int8", 8, GemvRowsOfCodes, Look),
        new DynamicPanelGemm<Int8Tensor, Int8Columns>("int8.cpu.gemm_int8", (weight, blocks) => new(weight, blocks)),
        new Int8LinearCpu(),
        new CudaGemvLinear<Int8Tensor>("int8.cuda.gemv", weight => new(LookOnDevice(weight), weight.Shape)),
        new WeightOnlyGemm<Int8Tensor>("int8.cuda.gemm", GemmRows, LookOnDevice, Dequantized),
        new DynamicCodesLinear<Int8Tensor>(
            "int8.cuda.gemm_int8", ScalarType.Int8, LookOnDevice, CodesGemm.ReasonToRefuse, CodesGemm.Run, Dequantized),
        new DynamicCodesLinear<Int8Tensor>(
            "int8.cuda.int_mm", ScalarType.Int8, LookOnDevice, IntegerSums.ReasonToRefuse, IntegerSums.Run, Dequantized),
        Dequantized,
    ];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Int8Grid(inFeatures);

    public override QuantizedTensor Read(StoredTensor stored) => Int8Tensor.Read(stored);

    private static StoredCodes LookOnDevice(Int8Tensor weight) =>
        new(weight.QData, CodeLayout.Bytes, 8, CodeValue.Signed, weight.Scale);

    private static GemvWeight Look(Int8Tensor weight) =>
        new(8, Int8Columns.Offset, weight.QData, weight.Scale, zeroPoint: null);
}
