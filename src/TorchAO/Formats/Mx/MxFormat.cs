using TorchAO.Formats.Mx.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Mx;

/// <summary>Blocks of small floats under a shared power of two (OCP Microscaling Formats).</summary>
internal sealed class MxFormat : Format<MxTensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "mx";

    public override string Name => FormatName;

    public override string Summary =>
        "small floats (8, 6 or 4 bits) in blocks of 32 under a shared power of two; their bits and 1/4 bit a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } = [new MxWeightOnlyHandler()];

    protected override IReadOnlyList<ILinearKernel<MxTensor>> LinearKernels { get; } =
        [new MxLinearCpu(), new DequantizedLinear<MxTensor>("mx.cuda.dequantize", LookOnDevice)];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new MxGrid(
        MxElementType.Float8E4M3,
        inFeatures % MxQuantization.UsualBlockSize == 0 ? MxQuantization.UsualBlockSize : inFeatures,
        ScaleRounding.Floor);

    public override QuantizedTensor Read(StoredTensor stored) => MxTensor.Read(stored);

    private static StoredCodes LookOnDevice(MxTensor weight) =>
        new(weight.QData, CodeLayout.Stream, weight.Element.Bits, CodeValue.Table, weight.Scale) { Table = weight.Element.Values };
}
