using TorchAO.Formats.UIntX.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Tensors;

namespace TorchAO.Formats.UIntX;

/// <summary>Integers of 1 to 8 bits in groups, packed in shards of four, two and one bit.</summary>
internal sealed class UIntXFormat : Format<UIntXTensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "uintx";

    private const int UsualBits = 4;
    private const long UsualGroupSize = 128;

    public override string Name => FormatName;

    public override string Summary => "integers of 1 to 8 bits, a scale and perhaps a zero point a group; as many bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } =
        [
            new UIntXWeightOnlyHandler(), new IntxWeightOnlyHandler(), new GemliteUIntXWeightOnlyHandler(),
            new Int8DynamicActivationIntxWeightHandler(),
        ];

    protected override IReadOnlyList<ILinearKernel<UIntXTensor>> LinearKernels { get; } =
        [new UIntXLinearCpu(), new DequantizedLinear<UIntXTensor>("uintx.cuda.dequantize", LookOnDevice)];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new UIntXGrid(
        UsualBits, inFeatures % UsualGroupSize == 0 ? UsualGroupSize : inFeatures, UIntXGrid.Unsigned(UsualBits));

    public override QuantizedTensor Read(StoredTensor stored) => UIntXTensor.Read(stored);

    private static StoredCodes LookOnDevice(UIntXTensor weight) => new(
        weight.QData, weight.Bits == 8 ? CodeLayout.Bytes : CodeLayout.Shards, weight.Bits, CodeValue.Unsigned, weight.Scale)
    {
        ZeroPoint = weight.ZeroPoint,
    };
}
