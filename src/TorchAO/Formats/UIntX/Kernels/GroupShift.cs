using System.Runtime.Intrinsics;

namespace TorchAO.Formats.UIntX.Kernels;

/// <summary>Moves the codes of each group by a whole number: <c>code[k] += offset[k / group]</c> in a byte.</summary>
/// <remarks>
/// With integer zero points the difference of code and zero point is a small whole number, and exact; the sum of
/// activations times zero point is neither, where a group's values lie close together.
/// </remarks>
internal static unsafe class GroupShift
{
    /// <summary>The reference: the definition, one code at a time.</summary>
    internal static void Scalar(sbyte* codes, int length, int groupSize, ReadOnlySpan<sbyte> offsets)
    {
        for (int k = 0; k < length; k++)
        {
            codes[k] += offsets[k / groupSize];
        }
    }

    /// <summary>Steps of 64 codes, then of 16, then single ones, group by group.</summary>
    internal static void Wide(sbyte* codes, int length, int groupSize, ReadOnlySpan<sbyte> offsets)
    {
        for (int g = 0, start = 0; start < length; g++, start += groupSize)
        {
            int k = start;
            int end = start + groupSize;
            for (var offset = Vector512.Create(offsets[g]); k + 64 <= end; k += 64)
            {
                (Vector512.Load(codes + k) + offset).Store(codes + k);
            }

            for (var offset = Vector128.Create(offsets[g]); k + 16 <= end; k += 16)
            {
                (Vector128.Load(codes + k) + offset).Store(codes + k);
            }

            for (; k < end; k++)
            {
                codes[k] += offsets[g];
            }
        }
    }
}
