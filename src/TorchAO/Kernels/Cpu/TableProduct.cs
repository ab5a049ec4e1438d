using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>A product <c>x · Wᵀ + b</c> with a weight of codes that stand for the values of a table.</summary>
internal static unsafe class TableProduct
{
    /// <summary>Says why a problem is not for this product, or <see langword="null"/>.</summary>
    public static string? ReasonToRefuse(in LinearProblem problem) =>
        problem.GroupSize % TableDot.Step != 0 && problem.GroupSize != problem.InFeatures
            ? $"group size {problem.GroupSize} is not a multiple of {TableDot.Step}"
            : CpuProblem.ReasonToRefuse(problem);

    /// <summary>Computes the product.</summary>
    /// <param name="problem">The sizes; its group is what shares a scale.</param>
    /// <param name="operands">Activations, bias and result.</param>
    /// <param name="codes">The codes, uint8 <c>[N, ⌈K · bits / 8⌉]</c>, the first in the highest bits.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="values">The values of the codes, <c>2^bits</c> of them.</param>
    /// <param name="scales">The scales, float32 <c>[N, K / group]</c>.</param>
    public static void Run(
        in CpuProblem problem, FloatOperands operands, Tensor codes, int bits, ReadOnlySpan<float> values, Tensor scales)
    {
        fixed (float* table = TableDot.PadTable(values, bits))
        {
            RowProduct.Run(problem, operands, operands.Input, new RowDot
            {
                Codes = TensorMemory.Address<byte>(codes),
                RowBytes = codes.size(1),
                Bits = bits,
                Table = table,
                Scales = TensorMemory.Address<float>(scales),
                Length = problem.K,
                GroupSize = problem.GroupSize,
            });
        }

        GC.KeepAlive(codes); // the row products read them by address
        GC.KeepAlive(scales);
    }

    private struct RowDot : IRowDot
    {
        public byte* Codes;
        public long RowBytes;
        public int Bits;
        public float* Table;
        public float* Scales;
        public int Length;
        public int GroupSize;

        public readonly void Dot(long row, float* x, long stride, int m, float* y) => TableDot.Best(
            new TableRow(Codes + (row * RowBytes), Bits, Table, Scales + (row * (Length / GroupSize)), Length, GroupSize),
            x, stride, m, y);
    }
}
