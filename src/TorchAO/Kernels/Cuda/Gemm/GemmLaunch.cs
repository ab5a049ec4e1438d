using System.Runtime.InteropServices;
using TorchAO.Runtime.Cuda;

namespace TorchAO.Kernels.Cuda.Gemm;

/// <summary>What launches of the products for Hopper share: the struct, the ring's length and the grid of <c>gemm_tile.cuh</c>.</summary>
internal static class GemmLaunch
{
    // Rows of x that a swizzled row of shared memory holds, in bytes.
    private const int XRow = 128;

    // Alignment of the ring and its barriers.
    private const int Reserved = 2048;

    // Floats from a token's sums to the next one's.
    private const int SumPitch = GemmShape.TileRows + 4;

    private const int MaxStages = 12;
    private const int SharedBytes = 227 * 1024;
    private const int SharedBytesOfHalf = 113 * 1024;

    /// <summary>Counts the stages that fit a multiprocessor's shared memory; narrow tiles share it between two blocks.</summary>
    public static int Stages(int tokens, int stageBytes) =>
        Math.Min(MaxStages, ((tokens <= 64 ? SharedBytesOfHalf : SharedBytes) - Reserved) / stageBytes);

    /// <summary>Counts the bytes of a stage.</summary>
    public static int StageBytes(int tokens, int stepsOfX, int weightRowBytes) =>
        (tokens * XRow * stepsOfX) + (GemmShape.TileRows * weightRowBytes);

    /// <summary>Launches a product.</summary>
    public static void Run(CudaKernel kernel, CudaStream stream, in GemmShape shape, int stageBytes, ref Arguments arguments)
    {
        arguments.Splits = shape.Splits;
        arguments.RowTiles = (arguments.N + GemmShape.TileRows - 1) / GemmShape.TileRows;
        arguments.TokenTiles = (arguments.M + shape.Tokens - 1) / shape.Tokens;
        int shared = Reserved + Math.Max(Stages(shape.Tokens, stageBytes) * stageBytes, shape.Tokens * SumPitch * sizeof(float));
        LaunchOptions options = shape.Splits == 1 ? default : new LaunchOptions { Cluster = new Dim3(1, 1, shape.Splits) };
        kernel.Launch(
            stream, arguments, new Dim3(arguments.RowTiles * arguments.TokenTiles, 1, shape.Splits), shape.Tokens == 256 ? 384 : 288, shared, options);
    }

    /// <summary>The kernels' struct, a multiple of its alignment of 64 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 384)]
    public struct Arguments
    {
        public TensorMap XMap;
        public TensorMap WeightMap;
        public nint Scale;
        public nint Zero;
        public nint TokenScale;
        public nint Bias;
        public nint Y;
        public int M;
        public int N;
        public int K;
        public int Group;
        public int ScaleStride;
        public int TokenStride;
        public int Splits;
        public int RowTiles;
        public int TokenTiles;
    }
}
