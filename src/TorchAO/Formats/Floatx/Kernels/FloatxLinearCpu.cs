using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using static TorchSharp.torch;

namespace TorchAO.Formats.Floatx.Kernels;

/// <summary>Floating-point activations times small floats of any type; accumulates in float32.</summary>
internal sealed class FloatxLinearCpu : ILinearKernel<FloatxTensor>, IKernelOfWays
{
    /// <inheritdoc/>
    public string Name => "floatx.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => TableProduct.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public string WayOf(in LinearProblem problem) => FloatPanelProduct.WayOf(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, FloatxTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        using Tensor scales = weight.Scale.to(ScalarType.Float32);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        TableProduct.Run(problem, operands, weight.QData, weight.Type.Bits, weight.Type.Values(), scales);
        return operands.TakeOutput();
    }
}
