using System.Runtime.Intrinsics;
using TorchAO.Kernels.Cpu.Emitted;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>The product of <see cref="PanelTile"/>: code made at run time where the processor and the system allow, its twins elsewhere.</summary>
internal static unsafe class PanelTileKernel
{
    private const int Parts = PanelTile.Columns / 8;

    /// <summary>Computes with the fastest path of this process.</summary>
    /// <param name="tile">The operands.</param>
    /// <param name="rows">Activation rows, at most <see cref="PanelTile.MaxRows"/>.</param>
    public static void Best(PanelTile* tile, int rows)
    {
        if (EmittedCode.HasByteProducts)
        {
            PanelTileCode.For(rows, tile->XScales != null, tile->Zeros != null)(tile);
        }
        else
        {
            Wide(tile, rows);
        }
    }

    /// <summary>The reference: the definition, one element at a time.</summary>
    internal static void Scalar(PanelTile* tile, int rows)
    {
        for (int m = 0; m < rows; m++)
        {
            for (int n = 0; n < PanelTile.Columns; n++)
            {
                float* c = tile->C + (m * PanelTile.Columns) + n;
                for (long block = 0; block < tile->Blocks; block++)
                {
                    long row = (block * rows) + m, column = (block * PanelTile.Columns) + n;
                    int sum = tile->Initial[row];
                    for (long quad = block * tile->Quads; quad < (block + 1) * tile->Quads; quad++)
                    {
                        for (int i = 0; i < 4; i++)
                        {
                            sum += tile->Panel[(((quad * PanelTile.Columns) + n) * 4) + i] * tile->X[(((quad * rows) + m) * 4) + i];
                        }
                    }

                    if (tile->Zeros != null)
                    {
                        *c = MathF.FusedMultiplyAdd(tile->Sums[row], tile->Zeros[column], *c);
                    }

                    float value = tile->XScales == null ? sum : sum * tile->XScales[row];
                    *c = MathF.FusedMultiplyAdd(value, tile->Scales[column], *c);
                }
            }
        }
    }

    /// <summary>The twin in intrinsics, for every processor with vectors of 256 bits or less.</summary>
    internal static void Wide(PanelTile* tile, int rows)
    {
        for (int m = 0; m < rows; m += 2)
        {
            // Two rows at a time: eight sums and the four vectors of the panel fit 16 registers.
            int other = Math.Min(m + 1, rows - 1);
            for (long block = 0; block < tile->Blocks; block++)
            {
                Block(tile, rows, block, m, other);
            }
        }
    }

    private static void Block(PanelTile* tile, int rows, long block, int first, int second)
    {
        sbyte* x = tile->X + (block * tile->Quads * rows * 4);
        byte* panel = tile->Panel + (block * tile->Quads * PanelTile.Columns * 4);
        Vector256<int> a0 = Vector256.Create(tile->Initial[(block * rows) + first]), a1 = a0, a2 = a0, a3 = a0;
        Vector256<int> b0 = Vector256.Create(tile->Initial[(block * rows) + second]), b1 = b0, b2 = b0, b3 = b0;
        for (long quad = 0; quad < tile->Quads; quad++, x += rows * 4, panel += PanelTile.Columns * 4)
        {
            Vector256<sbyte> xa = Vector256.Create(*(int*)(x + (first * 4))).AsSByte();
            Vector256<sbyte> xb = Vector256.Create(*(int*)(x + (second * 4))).AsSByte();
            var w = Vector256.Load(panel);
            a0 = ByteProducts.Add(a0, w, xa);
            b0 = ByteProducts.Add(b0, w, xb);
            w = Vector256.Load(panel + 32);
            a1 = ByteProducts.Add(a1, w, xa);
            b1 = ByteProducts.Add(b1, w, xb);
            w = Vector256.Load(panel + 64);
            a2 = ByteProducts.Add(a2, w, xa);
            b2 = ByteProducts.Add(b2, w, xb);
            w = Vector256.Load(panel + 96);
            a3 = ByteProducts.Add(a3, w, xa);
            b3 = ByteProducts.Add(b3, w, xb);
        }

        Finish(tile, rows, block, first, a0, a1, a2, a3);
        if (second != first)
        {
            Finish(tile, rows, block, second, b0, b1, b2, b3);
        }
    }

    private static void Finish(
        PanelTile* tile, int rows, long block, int m, Vector256<int> s0, Vector256<int> s1, Vector256<int> s2, Vector256<int> s3)
    {
        long row = (block * rows) + m;
        float* c = tile->C + (m * PanelTile.Columns);
        for (int part = 0; part < Parts; part++)
        {
            Vector256<int> sums = part switch { 0 => s0, 1 => s1, 2 => s2, _ => s3 };
            long column = (block * PanelTile.Columns) + (8 * part);
            var result = Vector256.Load(c + (8 * part));
            if (tile->Zeros != null)
            {
                result = Vector256.FusedMultiplyAdd(Vector256.Create(tile->Sums[row]), Vector256.Load(tile->Zeros + column), result);
            }

            Vector256<float> value = Vector256.ConvertToSingle(sums);
            value = tile->XScales == null ? value : value * Vector256.Create(tile->XScales[row]);
            Vector256.FusedMultiplyAdd(value, Vector256.Load(tile->Scales + column), result).Store(c + (8 * part));
        }
    }
}
