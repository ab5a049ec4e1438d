using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Activation rows as signed bytes in the order in which <see cref="PanelTile"/> reads them, with their scales.</summary>
/// <remarks>
/// Rows are split evenly into tiles of at most <see cref="PanelTile.MaxRows"/>. There are one or more planes: all have the same rows,
/// and their products are added up. Owns native memory.
/// </remarks>
internal sealed unsafe class ActivationPanel : IDisposable
{
    private const nuint Alignment = 64;

    private readonly long planeBytes;
    private readonly long planeCells;
    private sbyte* codes;
    private float* scales;
    private int* initial;
    private float* sums;

    private ActivationPanel(PanelBlocks blocks, int rows, int planes, bool hasScales, bool hasSums)
    {
        Blocks = blocks;
        Rows = rows;
        Planes = planes;
        Tiles = (rows + PanelTile.MaxRows - 1) / PanelTile.MaxRows;
        planeBytes = (long)rows * blocks.PaddedLength;
        planeCells = (long)rows * blocks.Count;
        codes = (sbyte*)NativeMemory.AlignedAlloc((nuint)(planes * planeBytes), Alignment);
        scales = hasScales ? (float*)NativeMemory.AlignedAlloc((nuint)(planes * planeCells * sizeof(float)), Alignment) : null;
        initial = (int*)NativeMemory.AlignedAlloc((nuint)(planes * planeCells * sizeof(int)), Alignment);
        sums = hasSums ? (float*)NativeMemory.AlignedAlloc((nuint)(planeCells * sizeof(float)), Alignment) : null;
    }

    /// <summary>Gets how rows are cut.</summary>
    public PanelBlocks Blocks { get; }

    /// <summary>Gets the rows.</summary>
    public int Rows { get; }

    /// <summary>Gets the planes.</summary>
    public int Planes { get; }

    /// <summary>Gets the tiles that rows are split into.</summary>
    public int Tiles { get; }

    /// <summary>Rounds each activation to the fixed point of its block, and makes a plane of each of its bytes.</summary>
    /// <param name="x">Activations <c>[M, K]</c>, float32, one row behind the other.</param>
    /// <param name="rows">M.</param>
    /// <param name="blocks">How rows are cut.</param>
    /// <param name="order">The order of codes in the weight's panel.</param>
    /// <param name="offset">What the weight's codes in the panel are larger by.</param>
    /// <param name="hasSums">Whether sums of activations are wanted.</param>
    /// <returns>The panel, or <see langword="null"/> where an activation is infinite or no number, for which fixed point has no code.
    /// The caller disposes it.</returns>
    public static ActivationPanel? Exact(float* x, int rows, PanelBlocks blocks, CodeOrder order, int offset, bool hasSums)
    {
        var panel = new ActivationPanel(blocks, rows, FixedPoint.Planes, hasScales: true, hasSums);
        int infinite = 0;
        ParallelRows.Run(
            panel.Tiles, 1, new Job { Panel = panel, Values = x, Order = order, Offset = offset, Infinite = &infinite });
        if (infinite == 0)
        {
            return panel;
        }

        panel.Dispose();
        return null;
    }

    /// <summary>Takes codes that were chosen before.</summary>
    /// <param name="x">Codes <c>[M, K]</c>, one row behind the other.</param>
    /// <param name="rows">M.</param>
    /// <param name="blocks">How rows are cut.</param>
    /// <param name="order">The order of codes in the weight's panel.</param>
    /// <param name="offset">What the weight's codes in the panel are larger by.</param>
    /// <param name="hasSums">Whether sums of codes are wanted.</param>
    /// <returns>The panel, of one plane and without scales: a row has one, which whoever stores the result applies. The caller
    /// disposes it.</returns>
    public static ActivationPanel FromCodes(
        sbyte* x, int rows, PanelBlocks blocks, CodeOrder order, int offset, bool hasSums)
    {
        var panel = new ActivationPanel(blocks, rows, 1, hasScales: false, hasSums);
        ParallelRows.Run(panel.Tiles, 1, new Job { Panel = panel, Codes = x, Order = order, Offset = offset });
        return panel;
    }

    /// <summary>Gets the rows of a tile.</summary>
    /// <param name="tile">The tile.</param>
    /// <returns>The first, and how many.</returns>
    public (int First, int Count) RowsOf(int tile)
    {
        int first = (int)((long)Rows * tile / Tiles);
        return (first, (int)((long)Rows * (tile + 1) / Tiles) - first);
    }

    /// <summary>Puts the addresses of some blocks of a tile's plane into the operands of a product.</summary>
    public void Point(PanelTile* operands, int tile, int plane, int block)
    {
        (int first, int count) = RowsOf(tile);
        long cell = ((long)first * Blocks.Count) + ((long)block * count);
        operands->X = codes + (plane * planeBytes) + ((long)first * Blocks.PaddedLength) + ((long)block * Blocks.Length * count);
        operands->XScales = scales == null ? null : scales + (plane * planeCells) + cell;
        operands->Initial = initial + (plane * planeCells) + cell;
        operands->Sums = sums == null ? null : sums + cell;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(codes);
        NativeMemory.AlignedFree(scales);
        NativeMemory.AlignedFree(initial);
        NativeMemory.AlignedFree(sums);
        codes = null;
        scales = null;
        initial = null;
        sums = null;
    }

    // Writes one block of one row: four bytes to each quad, whose rows lie next to each other.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write(PanelTile* operands, int row, int rows, sbyte* from, int quads, CodeOrder order)
    {
        int* to = (int*)operands->X + row;
        var evenThenOdd = Vector128.Create((byte)0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
        for (int quad = 0; quad < quads; quad += 2, to += 2L * rows)
        {
            Vector128<byte> pair = Vector128.CreateScalar(((long*)from)[quad / 2]).AsByte();
            pair = order == CodeOrder.EvenOdd ? Vector128.Shuffle(pair, evenThenOdd) : pair;
            to[0] = pair.AsInt32().ToScalar();
            to[rows] = pair.AsInt32().GetElement(1);
        }
    }

    private struct Job : IRowJob
    {
        public ActivationPanel Panel;
        public float* Values; // to be rounded; or null
        public sbyte* Codes; // as they are
        public CodeOrder Order;
        public int Offset;
        public int* Infinite;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            PanelBlocks blocks = Panel.Blocks;
            sbyte* planes = stackalloc sbyte[FixedPoint.Planes * blocks.Length];
            for (int tile = (int)begin; tile < end; tile++)
            {
                (int first, int count) = Panel.RowsOf(tile);
                for (int cell = 0; cell < count * blocks.Count; cell++)
                {
                    (int row, int block) = (cell / blocks.Count, cell % blocks.Count);
                    long from = ((long)(first + row) * blocks.InFeatures) + ((long)block * blocks.Length);
                    if (Values == null)
                    {
                        WriteCodes(Codes + from, planes, tile, row, block);
                    }
                    else if (!TryWriteValues(Values + from, planes, tile, row, block))
                    {
                        *Infinite = 1; // any worker may write it; none takes it back
                        return;
                    }
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly bool TryWriteValues(float* x, sbyte* digits, int tile, int row, int block)
        {
            int* sums = stackalloc int[FixedPoint.Planes];
            int length = Panel.Blocks.LengthOf(block);
            float step = FixedPoint.Split(x, length, digits, Panel.Blocks.Length, sums);
            if (float.IsNaN(step))
            {
                return false;
            }

            float sum = TensorPrimitives.Sum(new ReadOnlySpan<float>(x, length));
            for (int plane = 0; plane < FixedPoint.Planes; plane++)
            {
                WritePlane(digits + (plane * Panel.Blocks.Length), sums[plane], FixedPoint.Weights[plane] * step, sum, tile, plane, row, block);
            }

            return true;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void WriteCodes(sbyte* x, sbyte* padded, int tile, int row, int block)
        {
            var from = new ReadOnlySpan<sbyte>(x, Panel.Blocks.LengthOf(block));
            from.CopyTo(new Span<sbyte>(padded, from.Length));
            new Span<sbyte>(padded + from.Length, Panel.Blocks.Length - from.Length).Clear();
            int sum = 0;
            foreach (sbyte code in from)
            {
                sum += code;
            }

            WritePlane(padded, sum, scale: 1, sum, tile, 0, row, block);
        }

        private readonly void WritePlane(sbyte* codes, int codeSum, float scale, float sum, int tile, int plane, int row, int block)
        {
            PanelTile operands = default;
            Panel.Point(&operands, tile, plane, block);
            Write(&operands, row, Panel.RowsOf(tile).Count, codes, Panel.Blocks.QuadsOf(block), Order);
            operands.Initial[row] = -Offset * codeSum;
            if (operands.XScales != null)
            {
                operands.XScales[row] = scale;
            }

            if (operands.Sums != null)
            {
                operands.Sums[row] = sum;
            }
        }
    }
}
