using System.Numerics.Tensors;
using TorchAO.Kernels.Cpu;

namespace TorchAO.Formats.Int4.Kernels;

/// <summary>Activations in the order in which <see cref="Int4Dot"/>'s wide paths decode codes, and their sums by group.</summary>
internal static unsafe class Int4Panel
{
    /// <summary>Gets the distance of permuted rows in elements: whole blocks of eight codes a lane, spread over the cache.</summary>
    public static long Stride(int length, int lanes)
    {
        long block = lanes * (long)Int4Dot.LaneCodes;
        return CacheStride.Spread((length + block - 1) / block * block);
    }

    /// <summary>Permutes a row: within a block, element 8·i + j goes to place lanes·j + i; the last block, and what follows it, is filled with zeros.</summary>
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

    /// <summary>Sums the activations of each group, which is what a group's zero point multiplies.</summary>
    public static void SumGroups(ReadOnlySpan<float> row, int groupSize, Span<float> sums)
    {
        for (int g = 0; g < sums.Length; g++)
        {
            float sum = 0;
            foreach (float x in row.Slice(g * groupSize, groupSize))
            {
                sum += x;
            }

            sums[g] = sum;
        }
    }

    /// <summary>Adds <c>Σ_g zero_point[g] · sum[m, g]</c> to each of m results.</summary>
    public static void AddZeroPoints(float* zeroPoints, float* groupSums, int groups, int m, float* y)
    {
        var zeros = new ReadOnlySpan<float>(zeroPoints, groups);
        for (int i = 0; i < m; i++, groupSums += groups)
        {
            y[i] += TensorPrimitives.Dot(zeros, new ReadOnlySpan<float>(groupSums, groups));
        }
    }
}
