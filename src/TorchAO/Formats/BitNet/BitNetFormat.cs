using TorchAO.Formats.BitNet.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Tensors;

namespace TorchAO.Formats.BitNet;

/// <summary>−1, 0 and 1 times one scale, the weights of BitNet b1.58.</summary>
internal sealed class BitNetFormat : Format<BitNetTensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "bitnet";

    // Of the codes 0 to 3, in two's complement; 2 is not stored.
    private static readonly float[] Values = [0, 1, -2, -1];

    public override string Name => FormatName;

    public override string Summary => "-1, 0 and 1 times one scale a weight, for models trained so (BitNet b1.58); 2 bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } =
        [new BitNetWeightOnlyHandler(), new Int8DynamicActivationBitNetWeightHandler()];

    protected override IReadOnlyList<ILinearKernel<BitNetTensor>> LinearKernels { get; } =
        [new BitNetLinearCpu(), new DequantizedLinear<BitNetTensor>("bitnet.cuda.dequantize", LookOnDevice)];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new BitNetGrid();

    public override QuantizedTensor Read(StoredTensor stored) => BitNetTensor.Read(stored);

    private static StoredCodes LookOnDevice(BitNetTensor weight) =>
        new(weight.QData, CodeLayout.Stream, BitNetGrid.Bits, CodeValue.Table, weight.Scale) { Table = Values };
}
