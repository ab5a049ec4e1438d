using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Many activation rows times a weight of small integers: each panel of weight rows is laid out once and meets all of them.</summary>
/// <remarks>
/// Workers share the panels. A panel is filled piece by piece along K, so that a piece stays in the first-level cache while all tiles of
/// activation rows pass by; sums of all rows are kept beside it and leave once, with the bias.
/// </remarks>
internal static unsafe class PanelProduct
{
    // Codes of a row in a piece: 32 KiB of codes, of which the first-level cache has as much or half again.
    private const int PieceLength = 1024;
    private const nuint Alignment = 64;

    /// <summary>Fills the result.</summary>
    /// <param name="x">The activations.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="outFeatures">N.</param>
    /// <param name="scale">A factor a row of the result, or null.</param>
    /// <param name="zero">What is taken off each activation code before the factor, a row; or null.</param>
    /// <param name="bias">The bias <c>[N]</c>, or null.</param>
    /// <param name="y">Receives <c>[M, N]</c>.</param>
    public static void Run<TPanel>(ActivationPanel x, TPanel weight, int outFeatures, float* scale, float* zero, float* bias, float* y)
        where TPanel : struct, IWeightPanel
    {
        using ActivationPanel? ones = zero == null ? null : Ones<TPanel>(x.Blocks, weight.HasZeros);
        int panels = (outFeatures + PanelTile.Columns - 1) / PanelTile.Columns;
        ParallelRows.Run(panels, 1, new Job<TPanel>
        {
            X = x,
            Ones = ones,
            Weight = weight,
            OutFeatures = outFeatures,
            Scale = scale,
            Zero = zero,
            Bias = bias,
            Y = y,
        });
    }

    // A row of ones times the weight is the sum of its values, which a shift of all activations multiplies.
    private static ActivationPanel Ones<TPanel>(PanelBlocks blocks, bool hasSums)
        where TPanel : struct, IWeightPanel
    {
        sbyte* ones = (sbyte*)NativeMemory.Alloc((nuint)blocks.InFeatures);
        try
        {
            new Span<sbyte>(ones, blocks.InFeatures).Fill(1);
            return ActivationPanel.FromCodes(ones, 1, blocks, TPanel.Order, TPanel.Offset, hasSums);
        }
        finally
        {
            NativeMemory.Free(ones);
        }
    }

    private struct Job<TPanel> : IRowJob
        where TPanel : struct, IWeightPanel
    {
        public ActivationPanel X;
        public ActivationPanel? Ones;
        public TPanel Weight;
        public int OutFeatures;
        public float* Scale;
        public float* Zero;
        public float* Bias;
        public float* Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            PanelBlocks blocks = X.Blocks;
            int piece = Math.Max(1, PieceLength / blocks.Length);
            nuint panelBytes = (nuint)(piece * blocks.Length * PanelTile.Columns);
            nuint scaleBytes = (nuint)(piece * PanelTile.Columns * sizeof(float));
            nuint sumBytes = (nuint)((X.Rows + 1L) * PanelTile.Columns * sizeof(float));
            byte* memory = (byte*)NativeMemory.AlignedAlloc(panelBytes + (2 * scaleBytes) + sumBytes, Alignment);
            PanelTile tile = default;
            tile.Panel = memory;
            tile.Scales = (float*)(memory + panelBytes);
            tile.Zeros = Weight.HasZeros ? (float*)(memory + panelBytes + scaleBytes) : null;
            float* sums = (float*)(memory + panelBytes + (2 * scaleBytes));
            try
            {
                for (long panel = begin; panel < end; panel++)
                {
                    new Span<byte>(sums, checked((int)sumBytes)).Clear();
                    int row = (int)panel * PanelTile.Columns;
                    int rows = Math.Min(PanelTile.Columns, OutFeatures - row);
                    for (int block = 0; block < blocks.Count; block += piece)
                    {
                        AddPiece(&tile, row, rows, block, Math.Min(piece, blocks.Count - block), sums);
                    }

                    Store(sums, row, rows);
                }
            }
            finally
            {
                NativeMemory.AlignedFree(memory);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void AddPiece(PanelTile* tile, int row, int rows, int block, int count, float* sums)
        {
            float* zeros = tile->Zeros;
            Weight.Fill(row, rows, block, count, tile->Panel, tile->Scales, zeros);
            for (int plane = 0; plane < X.Planes; plane++)
            {
                tile->Zeros = plane == 0 ? zeros : null; // the sums of activations count once
                for (int t = 0; t < X.Tiles; t++)
                {
                    AddTile(X, tile, t, plane, block, count, sums + ((long)X.RowsOf(t).First * PanelTile.Columns));
                }
            }

            tile->Zeros = zeros;
            if (Ones is not null)
            {
                AddTile(Ones, tile, 0, 0, block, count, sums + ((long)X.Rows * PanelTile.Columns));
            }
        }

        // The last block of a row may be shorter than the others, which are taken in one call.
        private static void AddTile(ActivationPanel x, PanelTile* tile, int index, int plane, int block, int count, float* sums)
        {
            PanelTile part = *tile;
            int rows = x.RowsOf(index).Count;
            int whole = x.Blocks.QuadsOf(block + count - 1) * 4 == x.Blocks.Length ? count : count - 1;
            part.C = sums;
            if (whole > 0)
            {
                x.Point(&part, index, plane, block);
                part.Blocks = whole;
                part.Quads = x.Blocks.Length / 4;
                PanelTileKernel.Best(&part, rows);
            }

            if (whole < count)
            {
                x.Point(&part, index, plane, block + whole);
                part.Panel = tile->Panel + ((long)whole * x.Blocks.Length * PanelTile.Columns);
                part.Scales = tile->Scales + ((long)whole * PanelTile.Columns);
                part.Zeros = tile->Zeros == null ? null : tile->Zeros + ((long)whole * PanelTile.Columns);
                part.Blocks = 1;
                part.Quads = x.Blocks.QuadsOf(block + whole);
                PanelTileKernel.Best(&part, rows);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Store(float* sums, int row, int rows)
        {
            float* ofOnes = sums + ((long)X.Rows * PanelTile.Columns);
            for (int m = 0; m < X.Rows; m++, sums += PanelTile.Columns)
            {
                float* y = Y + ((long)m * OutFeatures) + row;
                float scale = Scale == null ? 1 : Scale[m], zero = Zero == null ? 0 : Zero[m];
                int n = 0;
                for (; n + 8 <= rows; n += 8)
                {
                    var value = Vector256.Load(sums + n);
                    value = Zero == null ? value : value - (Vector256.Create(zero) * Vector256.Load(ofOnes + n));
                    value = Scale == null ? value : value * Vector256.Create(scale);
                    value = Bias == null ? value : value + Vector256.Load(Bias + row + n);
                    value.Store(y + n);
                }

                for (; n < rows; n++)
                {
                    float value = Zero == null ? sums[n] : sums[n] - (zero * ofOnes[n]);
                    value = Scale == null ? value : value * scale;
                    y[n] = Bias == null ? value : value + Bias[row + n];
                }
            }
        }
    }
}
