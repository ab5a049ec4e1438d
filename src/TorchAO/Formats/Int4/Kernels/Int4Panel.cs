using System.Runtime.CompilerServices;
using TorchAO.Kernels.Cpu;

namespace TorchAO.Formats.Int4.Kernels;

/// <summary>Activations in the order in which <see cref="Int4Dot"/>'s wide paths decode codes.</summary>
internal static class Int4Panel
{
    /// <summary>Gets the distance of permuted rows in elements: whole blocks of eight codes a lane, spread over the cache.</summary>
    public static long Stride(int length, int lanes)
    {
        long block = lanes * (long)Int4Dot.LaneCodes;
        return CacheStride.Spread((length + block - 1) / block * block);
    }

    /// <summary>Permutes a row: within a block, element 8·i + j goes to place lanes·j + i; the last block, and what follows it, is filled with zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Permute(ReadOnlySpan<float> row, int lanes, Span<float> panel)
    {
        int block = lanes * Int4Dot.LaneCodes;
        panel.Clear();
        for (int start = 0; start < row.Length; start += block)
        {
            Span<float> destination = panel.Slice(start, block);
            ReadOnlySpan<float> source = row[start..Math.Min(start + block, row.Length)];
            for (int i = 0; i < source.Length; i++)
            {
                destination[(lanes * (i % Int4Dot.LaneCodes)) + (i / Int4Dot.LaneCodes)] = source[i];
            }
        }
    }
}
