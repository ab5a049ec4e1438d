using TorchAO.Formats.Int4.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu.Gemv;
using TorchAO.Kernels.Cpu.Panels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int4;

/// <summary>4-bit integers in groups, two a byte.</summary>
internal sealed class Int4Format : Format<Int4Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "int4";

    private const long UsualGroupSize = 128;

    // Measured on [4096, 14336]: with more rows laying out panels pays, later where activations are one byte and not three.
    private const int GemvRows = 8;
    private const int GemvRowsOfCodes = 12;

    // Measured on an H200: from here on a pass that dequantizes, and libtorch's product after it, are faster.
    private const int GemmRows = 1024;

    private static readonly DequantizedLinear<Int4Tensor> Dequantized = new("int4.cuda.dequantize", LookOnDevice);

    public override string Name => FormatName;

    public override string Summary => "4-bit integers, a scale and perhaps a zero point a group; 4 bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } =
    [
        new Int4WeightOnlyHandler(),
        new Int8DynamicActivationInt4WeightHandler(),
        new Int4DynamicActivationInt4WeightHandler(),
    ];

    protected override IReadOnlyList<ILinearKernel<Int4Tensor>> LinearKernels { get; } =
    [
        new GemvLinear<Int4Tensor>("int4.cpu.gemv", 4, GemvRows, Look, new Int4LinearCpu()),
        new PanelGemm<Int4Tensor, Int4Columns>("int4.cpu.gemm", (weight, blocks) => new(weight, blocks), new Int4LinearCpu()),
        new DynamicGemv<Int4Tensor>("int4.cpu.gemv_int8", 4, GemvRowsOfCodes, Look),
        new DynamicPanelGemm<Int4Tensor, Int4Columns>("int4.cpu.gemm_int8", (weight, blocks) => new(weight, blocks)),
        new Int4LinearCpu(),
        new CudaGemvLinear<Int4Tensor>("int4.cuda.gemv", weight => new(LookOnDevice(weight), weight.Shape)),
        new WeightOnlyGemm<Int4Tensor>("int4.cuda.gemm", GemmRows, LookOnDevice, Dequantized),
        new RoundedWeightOnlyGemm<Int4Tensor>("int4.cuda.gemm_int8", LookOnDevice),
        Dequantized,
    ];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Int4Grid(
        inFeatures % UsualGroupSize == 0 ? UsualGroupSize : inFeatures, MappingType.Asymmetric);

    public override QuantizedTensor Read(StoredTensor stored) => Int4Tensor.Read(stored);

    private static StoredCodes LookOnDevice(Int4Tensor weight) =>
        new(weight.QData, CodeLayout.Nibbles, 4, CodeValue.Unsigned, weight.Scale) { ZeroPoint = weight.ZeroPoint };

    private static GemvWeight Look(Int4Tensor weight) =>
        new(4, Int4Columns.Offset, weight.QData, weight.Scale, weight.ZeroPoint);
}
