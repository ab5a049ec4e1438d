using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Tests.Kernels.Cuda.Emulation;
using Xunit;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>The product of few rows, lane by lane on the CPU: its copies, fragments, scales and remainders, on machines without a GPU.</summary>
public sealed unsafe class EmulatedGemvTests
{
    private const string File = "src/TorchAO/Kernels/Cuda/gemv.cu";
    private const int Warps = 4, Stages = 2, RowBytes = 128;

    [Theory]
    [InlineData(8, 0, 1, 40, 512)]
    [InlineData(8, 64, 3, 40, 320)]
    [InlineData(4, 32, 1, 24, 576)]
    public void The_product_is_that_of_the_decoded_weight(int bits, int groupSize, int m, int n, int k)
    {
        var random = new Random(1);
        int length = groupSize == 0 ? k : groupSize, groups = k / length;
        float[] x = [.. Enumerable.Range(0, m * k).Select(_ => (float)random.Next(-64, 65))]; // exact in bfloat16
        int[] codes = [.. Enumerable.Range(0, n * k).Select(_ => bits == 4 ? random.Next(-8, 8) : random.Next(-127, 128))];
        float[] scale = [.. Enumerable.Range(0, n * groups).Select(_ => random.NextSingle())];

        float[] y = Run(bits, groupSize, m, n, k, x, Pack(codes, bits), scale);

        double[] expected = [.. Enumerable.Range(0, m * n).Select(i => Enumerable.Range(0, k).Sum(
            c => (double)x[(i / n * k) + c] * codes[(i % n * k) + c] * scale[(i % n * groups) + (c / length)]))];
        double largest = expected.Max(Math.Abs);
        for (int i = 0; i < y.Length; i++)
        {
            Assert.True(Math.Abs(y[i] - expected[i]) < 1e-5 * largest, $"[{i / n}, {i % n}]: {y[i]}, expected {expected[i]}");
        }
    }

    private static byte[] Pack(int[] codes, int bits) => bits == 8
        ? [.. codes.Select(code => (byte)(sbyte)code)]
        : [.. codes.Chunk(2).Select(pair => (byte)((pair[0] + 8) | ((pair[1] + 8) << 4)))];

    private static float[] Run(int bits, int groupSize, int m, int n, int k, float[] x, byte[] codes, float[] scale)
    {
        bool isSingle = m == 1;
        EmulatedKernel kernel = EmulatedKernel.Compile(
            File, "gemv", "-DACT=TYPE_BF16", bits == 4 ? "-DCODE=CODE_INT4" : "-DCODE=CODE_INT8", "-DSCALE=TYPE_F32", $"-DGROUP={groupSize}", "-DZERO=0",
            "-DOUT=TYPE_F32", "-DNORM=0", "-DEPILOGUE=0", $"-DSINGLE={(isSingle ? 1 : 0)}", $"-DWARPS={Warps}", $"-DSTAGES={Stages}", "-DTILES=1",
            $"-DROW={RowBytes}", "-DPIECE=0");
        int chunk = RowBytes * 8 / bits, chunks = (k + chunk - 1) / chunk, pitch = (chunks * chunk) + (isSingle ? 0 : 32);
        int shared = (Warps * Stages * 16 * (RowBytes + (bits == 8 ? 32 : 16))) + (2 * Warps * 16 * (isSingle ? 1 : 8) * 4)
            + (m * pitch * 2) + (m * chunks * (chunk / 32) * 4) + (m * Warps * 4);
        ushort[] halves = [.. x.Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))];
        float[] y = new float[m * n];
        Array.Fill(y, float.NaN);
        using var inputs = new Aligned<ushort>(halves);
        using var weights = new Aligned<byte>(codes);
        using var scales = new Aligned<float>(scale);
        using var outputs = new Aligned<float>(y);
        var arguments = new Arguments
        {
            Input = inputs.Address,
            InputStride = k,
            OutputStride = n,
            InFeatures = k,
            Rows = m,
            InputPitch = pitch,
            Tiles = (n + 15) / 16,
        };
        arguments.Segments[0] = new Segment { Codes = weights.Address, Scale = scales.Address, Output = outputs.Address, OutFeatures = n, ScaleStep = 1 };
        arguments.Segments[1].FirstTile = arguments.Segments[2].FirstTile = int.MaxValue;

        // Two blocks for three tiles: one walks on to another tile.
        kernel.Run(arguments, 2, 32 * Warps, shared);

        return outputs.ToArray();
    }

    // Asynchronous copies of 16 bytes need such addresses.
    private sealed class Aligned<T> : IDisposable
        where T : unmanaged
    {
        private readonly int count;

        public Aligned(T[] values)
        {
            count = values.Length;
            Address = (nint)NativeMemory.AlignedAlloc((nuint)(count * sizeof(T)), 64);
            values.CopyTo(new Span<T>((void*)Address, count));
        }

        public nint Address { get; }

        public T[] ToArray() => new Span<T>((void*)Address, count).ToArray();

        public void Dispose() => NativeMemory.AlignedFree((void*)Address);
    }

    // As GemvArguments of the kernel.
    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        public Segments Segments;
        public nint Input;
        public nint Gain;
        public long InputStride;
        public long OutputStride;
        public int InFeatures;
        public int Rows;
        public int InputPitch;
        public int Tiles;
        public float Epsilon;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Segment
    {
        public nint Codes;
        public nint Scale;
        public nint ZeroPoint;
        public nint Bias;
        public nint Output;
        public int OutFeatures;
        public int FirstTile;
        public int ScaleStep;
        public int Reserved;
    }

    [InlineArray(3)]
    private struct Segments
    {
        private Segment first;
    }
}
