using TorchAO.Formats.Int8.Kernels;
using TorchAO.Kernels;
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

    protected override IReadOnlyList<ILinearKernel<Int8Tensor>> LinearKernels { get; } = [new Int8LinearCpu()];

    public override IQuantizationGrid CreateGrid(long inFeatures) => new Int8Grid(inFeatures);

    public override QuantizedTensor Read(StoredTensor stored) => Int8Tensor.Read(stored);
}
