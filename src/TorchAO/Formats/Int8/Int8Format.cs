using TorchAO.Formats.Int8.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu.Gemv;
using TorchAO.Kernels.Cpu.Panels;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int8;

/// <summary>Symmetric int8, one scale for each row or group.</summary>
internal sealed class Int8Format : Format<Int8Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "int8";

    public override string Name => FormatName;

    public override string Summary => "symmetric 8-bit integers, one scale a row or group; 8 bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } =
    [
        new Int8WeightOnlyHandler(),
        new Int8DynamicActivationInt8WeightHandler(),
    ];

    protected override IReadOnlyList<ILinearKernel<Int8Tensor>> LinearKernels { get; } =
    [
        new GemvLinear<Int8Tensor>("int8.cpu.gemv", 8, 3, weight => new(8, 128, weight.QData, weight.Scale, null), new Int8LinearCpu()),
        new PanelGemm<Int8Tensor, Int8Columns>("int8.cpu.gemm", (weight, blocks) => new(weight, blocks), new Int8LinearCpu()),
        new DynamicGemv<Int8Tensor>("int8.cpu.gemv_int8", 8, 12, weight => new(8, 128, weight.QData, weight.Scale, null)),
        new DynamicPanelGemm<Int8Tensor, Int8Columns>("int8.cpu.gemm_int8", (weight, blocks) => new(weight, blocks)),
        new Int8LinearCpu(),
    ];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Int8Grid(inFeatures);

    public override QuantizedTensor Read(StoredTensor stored) => Int8Tensor.Read(stored);
}
