using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Nf4.Kernels;

/// <summary>Floating-point activations times NF4 weights; accumulates in float32.</summary>
internal sealed unsafe class Nf4LinearCpu : ILinearKernel<Nf4Tensor>
{
    /// <inheritdoc/>
    public string Name => "nf4.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        problem.GroupSize % TableDot.Step != 0 && problem.GroupSize != problem.InFeatures
            ? $"block size {problem.GroupSize} is not a multiple of {TableDot.Step}"
            : CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, Nf4Tensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        using Tensor stored = weight.DequantizeScale();
        using Tensor scales = stored.to(ScalarType.Float32);
        using Tensor rounded = Nf4Quantization.Table(stored.dtype);
        using Tensor table = rounded.to(ScalarType.Float32);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        RowProduct.Run(problem, operands, operands.Input, new RowDot
        {
            Codes = TensorMemory.Address<byte>(weight.QData),
            Table = TensorMemory.Address<float>(table),
            Scales = TensorMemory.Address<float>(scales),
            Length = problem.K,
            BlockSize = problem.GroupSize,
        });
        GC.KeepAlive(weight); // the row products read its tensors by address
        return operands.TakeOutput();
    }

    private struct RowDot : IRowDot
    {
        public byte* Codes;
        public float* Table;
        public float* Scales;
        public int Length;
        public int BlockSize;

        public readonly void Dot(long row, float* x, long stride, int m, float* y) => TableDot.Best(
            new TableRow(
                Codes + (row * (Length / 2)), Nf4Tensor.Bits, Table, Scales + (row * (Length / BlockSize)), Length, BlockSize),
            x, stride, m, y);
    }
}
