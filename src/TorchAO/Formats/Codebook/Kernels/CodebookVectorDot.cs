using System.Numerics;
using System.Runtime.CompilerServices;
using TorchAO.Kernels.Cpu;

namespace TorchAO.Formats.Codebook.Kernels;

/// <summary>A row of codes of a table of vectors times a few rows of activations; accumulates in float32.</summary>
/// <remarks>Vectors are copied out of the table into a piece of the row that stays in the first-level cache, and multiplied there.</remarks>
internal static unsafe class CodebookVectorDot
{
    private const int Piece = 256; // codes

    /// <summary>Computes m sums.</summary>
    /// <param name="codes">The codes of the row as a stream of bits.</param>
    /// <param name="bits">Bits of a code, 1 to 8.</param>
    /// <param name="table">Entries, <paramref name="block"/> numbers each.</param>
    /// <param name="block">Numbers a code stands for.</param>
    /// <param name="scales">The scales, one a scale block.</param>
    /// <param name="scaleBlock">Numbers that share a scale; a multiple of <paramref name="block"/>.</param>
    /// <param name="length">K.</param>
    /// <param name="weights">Room for <see cref="Room"/> numbers.</param>
    /// <param name="x">The first of m activation rows.</param>
    /// <param name="stride">The distance of activation rows in elements.</param>
    /// <param name="m">Activation rows.</param>
    /// <param name="y">Receives m sums.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(
        byte* codes, int bits, float* table, int block, float* scales, int scaleBlock, int length, float* weights,
        float* x, long stride, int m, float* y)
    {
        byte* bytes = stackalloc byte[Piece];
        new Span<float>(y, m).Clear();
        int count = length / block;
        int rowBytes = (int)((((long)count * bits) + 7) / 8);
        for (int start = 0; start < count; start += Piece)
        {
            int offset = (int)((long)start * bits / 8);
            int codesHere = Math.Min(Piece, count - start);
            BitStreamDecode.Run(codes + offset, bits, codesHere, bytes, rowBytes - offset);
            for (int i = 0; i < codesHere; i++)
            {
                float scale = scales[(start + i) * (long)block / scaleBlock];
                float* entry = table + (bytes[i] * block);
                for (int j = 0; j < block; j++)
                {
                    weights[(i * block) + j] = entry[j] * scale;
                }
            }

            for (int i = 0; i < m; i++)
            {
                y[i] += Dot(weights, x + (i * stride) + ((long)start * block), codesHere * block);
            }
        }
    }

    /// <summary>Gets how many numbers a piece of a row has.</summary>
    public static int Room(int block) => Piece * block;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Dot(float* a, float* b, int count)
    {
        Vector<float> even = Vector<float>.Zero, odd = Vector<float>.Zero;
        int i = 0;
        for (; i + (2 * Vector<float>.Count) <= count; i += 2 * Vector<float>.Count)
        {
            even += Vector.Load(a + i) * Vector.Load(b + i);
            odd += Vector.Load(a + i + Vector<float>.Count) * Vector.Load(b + i + Vector<float>.Count);
        }

        float sum = Vector.Sum(even + odd);
        for (; i < count; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }
}
