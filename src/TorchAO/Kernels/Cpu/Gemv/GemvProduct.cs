using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Cpu;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>Few activation rows times a weight of small integers, a chunk of weight rows after the other over all cores.</summary>
internal static unsafe class GemvProduct
{
    // Weight rows of a chunk: while activation rows beyond the first four pass by, they stay in the second-level cache. A chunk has a
    // cost of its own, about that of eight rows of a thousand features, so that short rows go by in longer chunks.
    private const int LeastRows = 8;
    private const int MostRows = 64;
    private const int FeaturesOfChunk = 1 << 16;

    /// <summary>Fills the result.</summary>
    /// <param name="problem">The sizes.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="shape">The function for <see cref="GemvShape.MaxRows"/> rows; of fewer for the last ones.</param>
    /// <param name="activations">The activations, up to <see cref="GemvShape.MaxRows"/> rows each; behind the last row one of ones where
    /// there are zero points.</param>
    /// <param name="scale">A factor an activation row, or null.</param>
    /// <param name="zero">What is taken off each activation code before the factor, a row; or null.</param>
    /// <param name="bias">The bias <c>[N]</c>, or null.</param>
    /// <param name="y">Receives <c>[M, N]</c>.</param>
    public static void Run(
        in CpuProblem problem,
        GemvWeight weight,
        GemvShape shape,
        GemvActivations[] activations,
        float* scale,
        float* zero,
        float* bias,
        float* y)
    {
        int chunkRows = Math.Clamp(FeaturesOfChunk / problem.K / LeastRows * LeastRows, LeastRows, MostRows);
        ParallelRows.Run(problem.N, Math.Max(chunkRows, problem.RowsPerWorker), new Job
        {
            Problem = problem,
            ChunkRows = chunkRows,
            Weight = weight,
            Shape = shape,
            Activations = activations,
            Scale = scale,
            Zero = zero,
            Bias = bias,
            Y = y,
        });
    }

    private struct Job : IRowJob
    {
        public CpuProblem Problem;
        public int ChunkRows;
        public GemvWeight Weight;
        public GemvShape Shape;
        public GemvActivations[] Activations;
        public float* Scale;
        public float* Zero;
        public float* Bias;
        public float* Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            int groups = Weight.Scales.Columns;
            float* scratch = stackalloc float[2 * ChunkRows * groups];
            float* sums = stackalloc float[Activations.Length * GemvShape.MaxRows * ChunkRows];
            GemvArguments operands = default;
            operands.WeightStride = Weight.RowBytes;
            operands.ScaleStride = groups * sizeof(float);
            operands.ZeroStride = groups * sizeof(float);
            operands.YStride = ChunkRows * sizeof(float);
            for (long row = begin; row < end; row += ChunkRows)
            {
                int rows = (int)Math.Min(ChunkRows, end - row);
                operands.Weight = Weight.Codes + (row * Weight.RowBytes);
                operands.Scales = Weight.Scales.Rows(row, rows, scratch);
                operands.Zeros = Weight.ZeroPoints?.Rows(row, rows, operands.Scales, scratch + (ChunkRows * groups));
                operands.WeightRows = rows;
                Multiply(operands, sums);
                Store(row, rows, sums);
            }
        }

        // Piece by piece, so that activations are read from the first-level cache, all of them with the same piece of the weight.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Multiply(in GemvArguments whole, float* sums)
        {
            int partSums = GemvShape.MaxRows * ChunkRows;
            float* ofPiece = stackalloc float[partSums];
            int piece = Activations[0].PieceBlocks, blocks = Activations[0].WholeBlocks;
            int block = 0;
            do
            {
                int count = Math.Min(piece, blocks - block);
                bool isLast = block + count == blocks;
                for (int part = 0; part < Activations.Length; part++)
                {
                    GemvArguments operands = whole;
                    Activations[part].Point(&operands, block, count);
                    operands.Y = block == 0 ? sums + (part * partSums) : ofPiece;
                    GemvKernel.Best(Shape with { Rows = Activations[part].Rows, HasZeros = Shape.HasZeros && isLast }, operands);
                    if (block > 0)
                    {
                        AddTo(sums + (part * partSums), ofPiece, Activations[part].Rows * ChunkRows);
                    }
                }

                block += count;
            }
            while (block < blocks);
        }

        private static void AddTo(float* sums, float* more, int count)
        {
            for (int i = 0; i < count; i += Vector256<float>.Count)
            {
                (Vector256.Load(sums + i) + Vector256.Load(more + i)).Store(sums + i);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Store(long row, int rows, float* sums)
        {
            float* ofOnes = sums + (Problem.M * ChunkRows);
            for (int m = 0; m < Problem.M; m++, sums += ChunkRows)
            {
                float* y = Y + (m * (long)Problem.N) + row;
                for (int n = 0; n < rows; n++)
                {
                    float value = Zero == null ? sums[n] : sums[n] - (Zero[m] * ofOnes[n]);
                    value = Scale == null ? value : value * Scale[m];
                    y[n] = Bias == null ? value : value + Bias[row + n];
                }
            }
        }
    }
}
