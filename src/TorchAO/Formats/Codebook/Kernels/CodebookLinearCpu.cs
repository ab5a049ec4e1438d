using System.Buffers;
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
    public string? ReasonToRefuse(in LinearProblem problem) => TableProduct.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, CodebookTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        int block = checked((int)weight.BlockSize);
        ReadOnlySpan<float> entries = new(TensorMemory.Address<float>(weight.Codebook), (1 << weight.Bits) * block);
        if (block == 1)
        {
            TableProduct.Run(problem, operands, weight.QData, weight.Bits, entries, weight.Scale);
        }
        else
        {
            fixed (float* table = entries)
            {
                RowProduct.Run(problem, operands, operands.Input, new VectorRowDot
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
        }

        GC.KeepAlive(weight); // the products read its tensors by address
        return operands.TakeOutput();
    }

    private struct VectorRowDot : IRowDot
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
            // Long vectors are rare; their piece of a row would not be small enough for a stack.
            float[] room = ArrayPool<float>.Shared.Rent(CodebookVectorDot.Room(Block));
            fixed (float* weights = room)
            {
                CodebookVectorDot.Run(
                    Codes + (row * RowBytes), Bits, Table, Block, Scales + (row * (Length / ScaleBlock)), ScaleBlock, Length, weights,
                    x, stride, m, y);
            }

            ArrayPool<float>.Shared.Return(room);
        }
    }
}
