using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Formats.Nf4.Kernels;

/// <summary>Floating-point activations times NF4 weights; accumulates in float32.</summary>
internal sealed class Nf4LinearCpu : ILinearKernel<Nf4Tensor>
{
    /// <inheritdoc/>
    public string Name => "nf4.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => TableProduct.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, Nf4Tensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        using Tensor stored = weight.DequantizeScale();
        using Tensor scales = stored.to(ScalarType.Float32);
        using Tensor rounded = Nf4Quantization.Table(stored.dtype); // as the reference has it
        using Tensor table = rounded.to(ScalarType.Float32);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        TableProduct.Run(problem, operands, weight.QData, Nf4Tensor.Bits, table.data<float>().ToArray(), scales);
        return operands.TakeOutput();
    }
}
