using System.Runtime.CompilerServices;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>A product <c>x · Wᵀ + b</c> with a weight of codes that stand for the values of a table.</summary>
internal static unsafe class TableProduct
{
    private const int ScalesPerWorker = 1 << 13;

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
        Run(problem, operands, codes, bits, values, new StoredScales(TensorMemory.Address<float>(scales), problem.K / problem.GroupSize));
        GC.KeepAlive(scales); // the row products read them by address
    }

    /// <summary>Computes the product with scales that are decoded as they are needed.</summary>
    /// <param name="problem">The sizes; its group is what shares a scale.</param>
    /// <param name="operands">Activations, bias and result.</param>
    /// <param name="codes">The codes, uint8 <c>[N, ⌈K · bits / 8⌉]</c>, the first in the highest bits.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="values">The values of the codes, <c>2^bits</c> of them.</param>
    /// <param name="scales">The scales, K / group a row; the tensors behind its addresses are the caller's to keep alive.</param>
    public static void Run<TScales>(
        in CpuProblem problem, FloatOperands operands, Tensor codes, int bits, ReadOnlySpan<float> values, TScales scales)
        where TScales : struct, IScaleRows
    {
        byte* planes = stackalloc byte[PermuteDot.PlaneBytes];
        bool hasPlanes = PermuteDot.TryCut(values, bits, new Span<byte>(planes, PermuteDot.PlaneBytes));
        fixed (float* table = TableDot.PadTable(values, bits))
        {
            var rows = new RowDot<TScales>
            {
                Codes = TensorMemory.Address<byte>(codes),
                RowBytes = codes.size(1),
                Bits = bits,
                Table = table,
                Planes = hasPlanes ? planes : null,
                Scales = scales,
                Length = problem.K,
                GroupSize = problem.GroupSize,
            };
            if (FloatPanelProduct.Pays(problem) && scales.Scratch > 0)
            {
                RunOnDecodedScales(problem, operands, rows);
            }
            else if (FloatPanelProduct.Pays(problem))
            {
                FloatPanelProduct.Run(problem, operands, operands.Input, rows);
            }
            else
            {
                RowProduct.Run(problem, operands, operands.Input, rows);
            }
        }

        GC.KeepAlive(codes); // the row products read them by address
    }

    // Panels ask for a row as often as it has pieces: its scales are decoded once, before.
    private static void RunOnDecodedScales<TScales>(in CpuProblem problem, FloatOperands operands, RowDot<TScales> rows)
        where TScales : struct, IScaleRows
    {
        int stride = rows.Scales.Scratch;
        using Tensor decoded = empty(problem.N, stride, dtype: ScalarType.Float32);
        float* to = TensorMemory.Address<float>(decoded);
        ParallelRows.Run(problem.N, Math.Max(1, ScalesPerWorker / stride), new DecodeScales<TScales> { Scales = rows.Scales, To = to });
        FloatPanelProduct.Run(problem, operands, operands.Input, rows.With(new StoredScales(to, stride)));
    }

    private struct DecodeScales<TScales> : IRowJob
        where TScales : struct, IScaleRows
    {
        public TScales Scales;
        public float* To;

        public readonly void Run(long begin, long end)
        {
            for (long row = begin; row < end; row++)
            {
                Scales.Row(row, To + (row * Scales.Scratch));
            }
        }
    }

    private struct RowDot<TScales> : IRowDot, IRowDecoder
        where TScales : struct, IScaleRows
    {
        public byte* Codes;
        public long RowBytes;
        public int Bits;
        public float* Table;
        public byte* Planes;
        public TScales Scales;
        public int Length;
        public int GroupSize;

        public readonly void Dot(long row, float* x, long stride, int m, float* y)
        {
            float* scratch = stackalloc float[Scales.Scratch];
            TableDot.Best(Row(row, Scales.Row(row, scratch)), x, stride, m, y);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Decode(long row, int begin, int count, float* to)
        {
            float* scratch = stackalloc float[Scales.Scratch];
            TableDot.DecodeValues(Row(row, Scales.Row(row, scratch)), begin, count, to);
        }

        public readonly RowDot<TOther> With<TOther>(TOther scales)
            where TOther : struct, IScaleRows => new()
            {
                Codes = Codes,
                RowBytes = RowBytes,
                Bits = Bits,
                Table = Table,
                Planes = Planes,
                Scales = scales,
                Length = Length,
                GroupSize = GroupSize,
            };

        private readonly TableRow Row(long row, float* scales) =>
            new(Codes + (row * RowBytes), Bits, Table, scales, Length, GroupSize, Planes);
    }

    private readonly struct StoredScales(float* scales, int columns) : IScaleRows
    {
        public int Scratch => 0;

        public float* Row(long row, float* scratch) => scales + (row * columns);
    }
}
