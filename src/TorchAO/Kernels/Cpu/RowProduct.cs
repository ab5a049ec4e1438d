using System.Runtime.CompilerServices;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>A product <c>x · Wᵀ + b</c>, weight row by weight row over all cores.</summary>
internal static unsafe class RowProduct
{
    /// <summary>Activation rows that share one pass over a weight row.</summary>
    public const int MaxRows = 8;

    /// <summary>Fills the result.</summary>
    /// <param name="problem">The sizes.</param>
    /// <param name="operands">Bias and result.</param>
    /// <param name="activations">The activations <c>[M, stride]</c>, float32, in the order in which <paramref name="dot"/> reads them.</param>
    /// <param name="dot">The product of one weight row; the tensors behind its addresses are the caller's to keep alive.</param>
    public static void Run<TDot>(in CpuProblem problem, FloatOperands operands, Tensor activations, TDot dot)
        where TDot : struct, IRowDot => ParallelRows.Run(problem.N, problem.RowsPerWorker, new Job<TDot>
        {
            Rows = problem.M,
            Columns = problem.N,
            X = TensorMemory.Address<float>(activations),
            Stride = activations.size(1),
            Bias = operands.Bias is { } bias ? TensorMemory.Address<float>(bias) : null,
            Y = TensorMemory.Address<float>(operands.Output),
            RowDot = dot,
        });

    private struct Job<TDot> : IRowJob
        where TDot : struct, IRowDot
    {
        public int Rows;
        public int Columns;
        public float* X;
        public long Stride;
        public float* Bias;
        public float* Y;
        public TDot RowDot;

        // A weight row leaves main memory once for eight activation rows, which stay in the first-level cache.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            float* sums = stackalloc float[MaxRows];
            for (int done = 0; done < Rows; done += MaxRows)
            {
                int m = Math.Min(MaxRows, Rows - done);
                for (long n = begin; n < end; n++)
                {
                    RowDot.Dot(n, X + (done * Stride), Stride, m, sums);
                    float bias = Bias == null ? 0 : Bias[n];
                    float* y = Y + ((long)done * Columns) + n;
                    for (int i = 0; i < m; i++, y += Columns)
                    {
                        *y = sums[i] + bias;
                    }
                }
            }
        }
    }
}
