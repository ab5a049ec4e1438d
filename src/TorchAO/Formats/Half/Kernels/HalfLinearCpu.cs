using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Half.Kernels;

/// <summary>Floating-point activations times weights in 16-bit floating point; accumulates in float32.</summary>
internal sealed unsafe class HalfLinearCpu : ILinearKernel<HalfTensor>, IKernelOfWays
{
    /// <inheritdoc/>
    public string Name => "half.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public string WayOf(in LinearProblem problem) => FloatPanelProduct.WayOf(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, HalfTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        if (weight.QData.dtype == ScalarType.BFloat16)
        {
            Run<BFloat16Lanes>(problem, operands, weight);
        }
        else
        {
            Run<Float16Lanes>(problem, operands, weight);
        }

        GC.KeepAlive(weight); // the row products read its values by address
        return operands.TakeOutput();
    }

    private static void Run<TLanes>(in CpuProblem problem, FloatOperands operands, HalfTensor weight)
        where TLanes : struct, IHalfLanes
    {
        ushort* codes = (ushort*)TensorMemory.DeviceAddress(weight.QData);
        if (FloatPanelProduct.Pays(problem))
        {
            FloatPanelProduct.Run(problem, operands, operands.Input, new RowDecoder<TLanes>(codes, problem.K));
        }
        else
        {
            RowProduct.Run(problem, operands, operands.Input, new RowDot<TLanes>(codes, problem.K));
        }
    }

    private readonly struct RowDecoder<TLanes>(ushort* codes, int length) : IRowDecoder
        where TLanes : struct, IHalfLanes
    {
        public void Decode(long row, int begin, int count, float* to) =>
            HalfDot.Decode<TLanes>(codes + (row * length) + begin, count, to);
    }

    private readonly struct RowDot<TLanes>(ushort* codes, int length) : IRowDot
        where TLanes : struct, IHalfLanes
    {
        public void Dot(long row, float* x, long stride, int m, float* y) =>
            HalfDot.Best<TLanes>(codes + (row * length), length, x, stride, m, y);
    }
}
