using TorchAO.Formats.Codebook.Kernels;
using TorchAO.Kernels;
using TorchAO.Kernels.Cuda;
using TorchAO.Kernels.Cuda.Gemm;
using TorchAO.Tensors;

namespace TorchAO.Formats.Codebook;

/// <summary>Indices into a table that is fitted to the weight, of single numbers or of short vectors.</summary>
internal sealed class CodebookFormat : Format<CodebookTensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "codebook";

    public override string Name => FormatName;

    public override string Summary =>
        "indices of 1 to 8 bits into a table fitted to the weight, of numbers or short vectors; their bits a number or vector";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } = [new CodebookWeightOnlyHandler()];

    protected override IReadOnlyList<ILinearKernel<CodebookTensor>> LinearKernels { get; } =
        [new CodebookLinearCpu(), new DequantizedLinear<CodebookTensor>("codebook.cuda.dequantize", LookOnDevice)];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new CodebookGrid(4, 1, inFeatures);

    public override QuantizedTensor Read(StoredTensor stored) => CodebookTensor.Read(stored);

    private static StoredCodes LookOnDevice(CodebookTensor weight) =>
        new(weight.QData, CodeLayout.Stream, weight.Bits, CodeValue.Codebook, weight.Scale) { Codebook = weight.Codebook };
}
