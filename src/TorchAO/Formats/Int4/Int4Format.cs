using TorchAO.Formats.Int4.Kernels;
using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int4;

/// <summary>4-bit integers in groups, two a byte.</summary>
internal sealed class Int4Format : Format<Int4Tensor>
{
    /// <summary>The name in files and reports.</summary>
    public const string FormatName = "int4";

    private const long UsualGroupSize = 128;

    public override string Name => FormatName;

    public override string Summary => "4-bit integers, a scale and perhaps a zero point a group; 4 bits a weight";

    public override IReadOnlyList<IQuantizeHandler> Handlers { get; } =
    [
        new Int4WeightOnlyHandler(),
        new Int8DynamicActivationInt4WeightHandler(),
        new Int4DynamicActivationInt4WeightHandler(),
    ];

    protected override IReadOnlyList<ILinearKernel<Int4Tensor>> LinearKernels { get; } = [new Int4LinearCpu()];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Int4Grid(
        inFeatures % UsualGroupSize == 0 ? UsualGroupSize : inFeatures, MappingType.Asymmetric);

    public override QuantizedTensor Read(StoredTensor stored) => Int4Tensor.Read(stored);
}
