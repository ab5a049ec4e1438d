using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Codebook.Kernels;

/// <summary>Floating-point activations times codes of a table of numbers or vectors; accumulates in float32.</summary>
internal sealed unsafe class CodebookLinearCpu : ILinearKernel<CodebookTensor>
{
    /// <inheritdoc/>
    public string Name => "codebook.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        problem.GroupSize % TableDot.Step != 0 && problem.GroupSize != problem.InFeatures
            ? $"scale block size {problem.GroupSize} is not a multiple of {TableDot.Step}"
            : CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, CodebookTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        int block = checked((int)weight.BlockSize);
        ReadOnlySpan<float> entries = new(TensorMemory.Address<float>(weight.Codebook), (1 << weight.Bits) * block);
        fixed (float* table = block == 1 ? TableDot.PadTable(entries, weight.Bits) : entries.ToArray())
        {
            RowProduct.Run(problem, operands, operands.Input, new RowDot
            {
                Codes = TensorMemory.Address<byte>(weight.QData),
                RowBytes = weight.QData.size(1),
                Bits = weight.Bits,
                Table = table,
                Block = block,
                Scales = TensorMemory.Address<float>(weight.Scale),
                Length = problem.K,
                ScaleBlock = problem.GroupSize,
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
        public int Block;
        public float* Scales;
        public int Length;
        public int ScaleBlock;

        public readonly void Dot(long row, float* x, long stride, int m, float* y)
        {
            byte* codes = Codes + (row * RowBytes);
            float* scales = Scales + (row * (Length / ScaleBlock));
            if (Block == 1)
            {
                TableDot.Best(new TableRow(codes, Bits, Table, scales, Length, ScaleBlock), x, stride, m, y);
                return;
            }

            // Long vectors are rare; their piece of a row would not be small enough for a stack.
            float[] room = System.Buffers.ArrayPool<float>.Shared.Rent(CodebookVectorDot.Room(Block));
            fixed (float* weights = room)
            {
                CodebookVectorDot.Run(codes, Bits, Table, Block, scales, ScaleBlock, Length, weights, x, stride, m, y);
            }

            System.Buffers.ArrayPool<float>.Shared.Return(room);
        }
    }
}
