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
    /// <param name="activations">The activations, up to <see cref="GemvShape.MaxRows"/> rows each.</param>
    /// <param name="shift">What finishes the sums.</param>
    /// <param name="bias">The bias <c>[N]</c>, or null.</param>
    /// <param name="y">Receives <c>[M, N]</c>.</param>
    public static void Run(
        in CpuProblem problem,
        GemvWeight weight,
        GemvShape shape,
        GemvActivations[] activations,
        GemvShift shift,
        float* bias,
        float* y)
    {
        int chunkRows = Math.Clamp(FeaturesOfChunk / problem.K / LeastRows * LeastRows, LeastRows, MostRows);
        var functions = new GemvFunction[activations.Length * 2];
        for (int part = 0; part < activations.Length; part++)
        {
            GemvShape ofPart = shape with { Rows = activations[part].Rows };
            functions[2 * part] = new GemvFunction(ofPart with { HasZeros = false });
            functions[(2 * part) + 1] = shape.HasZeros ? new GemvFunction(ofPart) : functions[2 * part];
        }

        ParallelRows.Run(problem.N, Math.Max(chunkRows, problem.RowsPerWorker), new Job
        {
            Problem = problem,
            ChunkRows = chunkRows,
            Weight = weight,
            Functions = functions,
            Activations = activations,
            Shift = shift,
            Bias = bias,
            Y = y,
        });
    }

    private struct Job : IRowJob
    {
        public CpuProblem Problem;
        public int ChunkRows;
        public GemvWeight Weight;
        public GemvFunction[] Functions; // two a part: of pieces, and of the last piece, which goes with the zero points
        public GemvActivations[] Activations;
        public GemvShift Shift;
        public float* Bias;
        public float* Y;

        [SkipLocalsInit]
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
        [SkipLocalsInit]
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
                    Functions[(2 * part) + (isLast ? 1 : 0)].Run(operands);
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
            for (int m = 0; m < Problem.M; m++, sums += ChunkRows)
            {
                float* y = Y + (m * (long)Problem.N) + row;
                for (int n = 0; n < rows; n++)
                {
                    float value = Shift.Apply(sums[n], m, row + n);
                    y[n] = Bias == null ? value : value + Bias[row + n];
                }
            }
        }
    }
}
