using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Half.Kernels;

/// <summary>Floating-point activations times weights in 16-bit floating point; accumulates in float32.</summary>
internal sealed unsafe class HalfLinearCpu : ILinearKernel<HalfTensor>
{
    /// <inheritdoc/>
    public string Name => "half.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, HalfTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        if (weight.QData.dtype == ScalarType.BFloat16)
        {
            RowProduct.Run(problem, operands, operands.Input, new RowDot<BFloat16Lanes>(
                (ushort*)TensorMemory.DeviceAddress(weight.QData), problem.K));
        }
        else
        {
            RowProduct.Run(problem, operands, operands.Input, new RowDot<Float16Lanes>(
                (ushort*)TensorMemory.DeviceAddress(weight.QData), problem.K));
        }

        GC.KeepAlive(weight); // the row products read its values by address
        return operands.TakeOutput();
    }

    private readonly struct RowDot<TLanes>(ushort* codes, int length) : IRowDot
        where TLanes : struct, IHalfLanes
    {
        public void Dot(long row, float* x, long stride, int m, float* y) =>
            HalfDot.Best<TLanes>(codes + (row * length), length, x, stride, m, y);
    }
}
