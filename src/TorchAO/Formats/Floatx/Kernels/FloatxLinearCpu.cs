using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Floatx.Kernels;

/// <summary>Floating-point activations times small floats of any type; accumulates in float32.</summary>
internal sealed unsafe class FloatxLinearCpu : ILinearKernel<FloatxTensor>
{
    /// <inheritdoc/>
    public string Name => "floatx.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, FloatxTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        using Tensor scales = weight.Scale.to(ScalarType.Float32);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        fixed (float* table = TableDot.PadTable(weight.Type.Values(), weight.Type.Bits))
        {
            RowProduct.Run(problem, operands, operands.Input, new RowDot
            {
                Codes = TensorMemory.Address<byte>(weight.QData),
                RowBytes = weight.QData.size(1),
                Bits = weight.Type.Bits,
                Table = table,
                Scales = TensorMemory.Address<float>(scales),
                Length = problem.K,
            });
        }

        GC.KeepAlive(weight); // the row products read its tensors by address
        return operands.TakeOutput();
    }

    private struct RowDot : IRowDot
    {
        public byte* Codes;
        public long RowBytes;
        public int Bits;
        public float* Table;
        public float* Scales;
        public int Length;

        public readonly void Dot(long row, float* x, long stride, int m, float* y) => TableDot.Best(
            new TableRow(Codes + (row * RowBytes), Bits, Table, Scales + row, Length, Length), x, stride, m, y);
    }
}
