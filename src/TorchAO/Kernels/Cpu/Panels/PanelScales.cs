using System.Runtime.CompilerServices;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Scales and zero points of weight rows as columns of a panel.</summary>
internal static unsafe class PanelScales
{
    /// <summary>Writes the scales of some blocks.</summary>
    /// <param name="source">Scales <c>[N, groups]</c>.</param>
    /// <param name="cut">How rows are cut.</param>
    /// <param name="row">The first row.</param>
    /// <param name="rows">Rows; columns beyond them are left as they are.</param>
    /// <param name="block">The first block.</param>
    /// <param name="blocks">Blocks.</param>
    /// <param name="to">Receives <c>[blocks][Columns]</c>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(in FloatRows source, PanelBlocks cut, long row, int rows, int block, int blocks, float* to)
    {
        float* scratch = stackalloc float[source.Columns];
        for (int n = 0; n < rows; n++)
        {
            Write(source.Row(row + n, scratch), cut, n, block, blocks, to);
        }
    }

    /// <summary>Writes one value a group of one row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(float* ofGroups, PanelBlocks cut, int column, int block, int blocks, float* to)
    {
        float* place = to + column;
        if (cut.GroupSize == cut.InFeatures)
        {
            for (int b = 0; b < blocks; b++, place += PanelTile.Columns)
            {
                *place = *ofGroups;
            }

            return;
        }

        int blocksOfGroup = cut.GroupSize / cut.Length;
        (int group, int inGroup) = (block / blocksOfGroup, block % blocksOfGroup);
        for (int b = 0; b < blocks; b++, place += PanelTile.Columns)
        {
            *place = ofGroups[group];
            if (++inGroup == blocksOfGroup)
            {
                (group, inGroup) = (group + 1, 0);
            }
        }
    }
}
