using System.Collections.Concurrent;
using TorchAO.Formats.Nf4.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Nf4;

/// <summary>Sixteen quantiles of a normal distribution, blocks of scales that are quantized themselves (QLoRA).</summary>
internal sealed class Nf4Format : Format<Nf4Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "nf4";

    private static readonly ConcurrentDictionary<ScalarType, float[]> Tables = new();

    public override string Name => FormatName;

    public override string Summary =>
        "4-bit quantiles of a normal distribution in blocks of 64, their scales in 8 bits; 4 bits and 1/8 bit a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } = [new NF4WeightOnlyHandler()];

    protected override IReadOnlyList<ILinearKernel<Nf4Tensor>> LinearKernels { get; } =
        [new Nf4LinearCpu(), new DequantizedLinear<Nf4Tensor>("nf4.cuda.dequantize", LookOnDevice)];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Nf4Grid(
        inFeatures % Nf4Quantization.UsualBlockSize == 0 ? Nf4Quantization.UsualBlockSize : inFeatures,
        Nf4Quantization.UsualScalerBlockSize);

    public override QuantizedTensor Read(StoredTensor stored) => Nf4Tensor.Read(stored);

    // The table is rounded to the type of the scales, which are computed anew at each call: 1/64 of the weight.
    private static StoredCodes LookOnDevice(Nf4Tensor weight)
    {
        Tensor scale = weight.DequantizeScale();
        return new StoredCodes(weight.QData, CodeLayout.Stream, Nf4Tensor.Bits, CodeValue.Table, scale)
        {
            Table = Tables.GetOrAdd(scale.dtype, static type =>
            {
                using Tensor table = Nf4Quantization.Table(type), values = table.to_type(ScalarType.Float32);
                return [.. TensorMemory.ReadOnlySpan<float>(values)];
            }),
            Owned = scale,
        };
    }
}
