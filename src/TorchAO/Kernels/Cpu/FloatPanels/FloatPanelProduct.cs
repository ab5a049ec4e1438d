using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchAO.Kernels.Cpu.Emitted;
using TorchAO.Kernels.Cpu.Panels;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu.FloatPanels;

/// <summary>Many activation rows times a weight of any format: a piece of 32 weight rows is decoded once, in the cache, and meets all.</summary>
internal static unsafe class FloatPanelProduct
{
    /// <summary>Input features of a piece: 32 KiB of decoded weights.</summary>
    public const int PieceLength = 256;

    /// <summary>The least rows at which decoding into panels beats decoding into registers.</summary>
    public const int MinRows = 6;

    // Decoded rows lie a line farther apart than their length: those of a power of two would share few sets of the cache.
    private const int RowStride = PieceLength + 16;
    private const nuint Alignment = 64;

    /// <summary>Tells whether a product is better done here than row by row.</summary>
    public static bool Pays(in CpuProblem problem) => Pays(problem.M);

    /// <summary>Says which way a kernel goes that asks <see cref="Pays(in CpuProblem)"/>.</summary>
    public static string WayOf(in LinearProblem problem) => Pays(problem.Rows) ? "in panels" : "row by row";

    private static bool Pays(long rows) => rows >= MinRows && EmittedCode.IsAvailable;

    /// <summary>Fills the result.</summary>
    /// <param name="problem">The sizes.</param>
    /// <param name="operands">Bias and result.</param>
    /// <param name="activations">The activations <c>[M, stride]</c>, float32, in the order in which <paramref name="decoder"/> decodes.</param>
    /// <param name="decoder">The weight; the tensors behind its addresses are the caller's to keep alive.</param>
    public static void Run<TDecoder>(in CpuProblem problem, FloatOperands operands, Tensor activations, TDecoder decoder)
        where TDecoder : struct, IRowDecoder
    {
        int tiles = (problem.M + FloatTile.MaxRows - 1) / FloatTile.MaxRows;
        float* x = (float*)NativeMemory.AlignedAlloc((nuint)((long)problem.M * problem.K * sizeof(float)), Alignment);
        try
        {
            ParallelRows.Run(tiles, 1, new LayOut
            {
                From = TensorMemory.Address<float>(activations),
                Stride = activations.size(1),
                To = x,
                Rows = problem.M,
                Tiles = tiles,
                Length = problem.K,
            });
            ParallelRows.Run((problem.N + FloatTile.Columns - 1) / FloatTile.Columns, 1, new Job<TDecoder>
            {
                Problem = problem,
                Tiles = tiles,
                X = x,
                Decoder = decoder,
                Bias = operands.Bias is { } bias ? TensorMemory.Address<float>(bias) : null,
                Y = TensorMemory.Address<float>(operands.Output),
            });
        }
        finally
        {
            NativeMemory.AlignedFree(x);
        }
    }

    private static (int First, int Count) RowsOf(int tile, int tiles, int rows)
    {
        int first = (int)((long)rows * tile / tiles);
        return (first, (int)((long)rows * (tile + 1) / tiles) - first);
    }

    // Rows of a tile side by side, feature by feature.
    private struct LayOut : IRowJob
    {
        public float* From;
        public long Stride;
        public float* To;
        public int Rows;
        public int Tiles;
        public int Length;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            for (int tile = (int)begin; tile < end; tile++)
            {
                (int first, int count) = RowsOf(tile, Tiles, Rows);
                float* to = To + ((long)first * Length);
                for (int m = 0; m < count; m++)
                {
                    float* from = From + ((first + m) * Stride);
                    for (int k = 0; k < Length; k++)
                    {
                        to[((long)k * count) + m] = from[k];
                    }
                }
            }
        }
    }

    private struct Job<TDecoder> : IRowJob
        where TDecoder : struct, IRowDecoder
    {
        public CpuProblem Problem;
        public int Tiles;
        public float* X;
        public TDecoder Decoder;
        public float* Bias;
        public float* Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            const int PanelFloats = PieceLength * FloatTile.Columns;
            nuint sumFloats = (nuint)Problem.M * FloatTile.Columns;
            const int RowFloats = RowStride * FloatTile.Columns;
            float* memory = (float*)NativeMemory.AlignedAlloc((RowFloats + PanelFloats + sumFloats) * sizeof(float), Alignment);
            float* rows = memory, panel = memory + RowFloats, sums = panel + PanelFloats;
            try
            {
                for (long index = begin; index < end; index++)
                {
                    int row = (int)index * FloatTile.Columns, count = Math.Min(FloatTile.Columns, Problem.N - row);
                    NativeMemory.Clear(sums, sumFloats * sizeof(float));
                    for (int k = 0; k < Problem.K; k += PieceLength)
                    {
                        int length = Math.Min(PieceLength, Problem.K - k);
                        for (int n = 0; n < count; n++)
                        {
                            Decoder.Decode(row + n, k, length, rows + (n * RowStride));
                        }

                        PanelColumns.Write<Unchanged>((byte*)rows, RowStride * sizeof(float), count, length, (byte*)panel, step: 1);
                        AddPiece(panel, k, length, sums);
                    }

                    Store(sums, row, count);
                }
            }
            finally
            {
                NativeMemory.AlignedFree(memory);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void AddPiece(float* panel, int begin, int length, float* sums)
        {
            FloatTile operands = default;
            operands.Panel = panel;
            operands.Count = length;
            for (int tile = 0; tile < Tiles; tile++)
            {
                (int first, int rows) = RowsOf(tile, Tiles, Problem.M);
                operands.X = X + ((long)first * Problem.K) + ((long)begin * rows);
                operands.C = sums + (first * FloatTile.Columns);
                FloatTileKernel.Best(&operands, rows);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Store(float* sums, int row, int count)
        {
            for (int m = 0; m < Problem.M; m++, sums += FloatTile.Columns)
            {
                float* y = Y + ((long)m * Problem.N) + row;
                for (int n = 0; n < count; n++)
                {
                    y[n] = Bias == null ? sums[n] : sums[n] + Bias[row + n];
                }
            }
        }
    }

    private readonly struct Unchanged : IByteTransform
    {
        public static uint Apply(uint bytes) => bytes;

        public static Vector512<uint> Apply(Vector512<uint> bytes) => bytes;
    }
}
