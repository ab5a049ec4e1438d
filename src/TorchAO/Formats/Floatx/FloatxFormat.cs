using TorchAO.Formats.Floatx.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Floatx;

/// <summary>Small floats of 3 to 7 bits with one scale a row (FP6-LLM).</summary>
internal sealed class FloatxFormat : Format<FloatxTensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "floatx";

    public override string Name => FormatName;

    public override string Summary => "small floats of 3 to 7 bits (fp6, fp5, fp4 and others), one scale a row; their bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } = [new FPXWeightOnlyHandler()];

    protected override IReadOnlyList<ILinearKernel<FloatxTensor>> LinearKernels { get; } =
        [new FloatxLinearCpu(), new DequantizedLinear<FloatxTensor>("floatx.cuda.dequantize", LookOnDevice)];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new FloatxGrid(new FloatxType(3, 2));

    public override QuantizedTensor Read(StoredTensor stored) => FloatxTensor.Read(stored);

    private static StoredCodes LookOnDevice(FloatxTensor weight) =>
        new(weight.QData, CodeLayout.Stream, weight.Type.Bits, CodeValue.Table, weight.Scale) { Table = weight.Type.Values() };
}
