using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.UIntX.Kernels;

/// <summary>
/// Floating-point activations times codes of 1 to 8 bits: <c>y[m, n] = Σ_g scale · Σ_k x[m, k] · (code − zero_point)</c> over
/// the groups g of row n. Zero points that are values are added apart, <c>zero_point · Σ_k x[m, k]</c>. Accumulates in float32.
/// </summary>
/// <remarks>
/// Decoding is apart from multiplying: a weight row becomes signed bytes in the first-level cache, once for all activation
/// rows, and <see cref="CodeDot"/> does the rest. The packed bytes are read from main memory once. Many rows meet panels of values.
/// </remarks>
internal sealed unsafe class UIntXLinearCpu : ILinearKernel<UIntXTensor>, IKernelOfWays
{
    // Weight rows decoded ahead where there are more activations than one pass takes: these bytes stay in the second-level
    // cache beside eight activation rows, which then serve all of them.
    private const int DecodedBytes = 1 << 16;

    private const int CacheLine = 64;

    /// <inheritdoc/>
    public string Name => "uintx.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public string WayOf(in LinearProblem problem) => FloatPanelProduct.WayOf(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, UIntXTensor weight, Tensor? bias)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        using var operands = new FloatOperands(input, bias, problem.N, spreadsRows: true);
        if (FloatPanelProduct.Pays(problem))
        {
            FloatPanelProduct.Run(problem, operands, operands.Input, new UIntXRows(weight));
            GC.KeepAlive(weight); // the rows' addresses are its tensors'
            return operands.TakeOutput();
        }

        ZeroPointRows? zeroPoints = weight.ZeroPoint is { } zeroPoint
            ? new ZeroPointRows(zeroPoint, UnsignedCodes.Of(weight.Bits).Middle)
            : null;

        // The difference of code and zero point is a small whole number, and exact. A sum of activations times a zero point is
        // not, so only zero points that are values take that way.
        bool areCodes = zeroPoints is { AreCodes: true };
        using Tensor? sums = areCodes || zeroPoints is null ? null : GroupSums.Of(operands.Input, problem);
        var job = new Job
        {
            Product = new GroupedProduct(
                problem, operands, operands.Input, weight.Scale, areCodes ? null : zeroPoints, sums),
            Bits = weight.Bits,
            Packed = TensorMemory.Address<byte>(weight.QData),
            Zeros = areCodes ? zeroPoints : null,
        };
        ParallelRows.Run(problem.N, problem.RowsPerWorker, job);
        GC.KeepAlive(weight); // the addresses above are its tensors'
        return operands.TakeOutput();
    }

    private struct Job : IRowJob
    {
        public GroupedProduct Product;
        public int Bits;
        public byte* Packed;
        public ZeroPointRows? Zeros;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            int length = checked((int)ShardPacking.PaddedLength(Product.Problem.K));
            int rowBytes = length / 8 * Bits;
            int block = Product.Problem.M <= CodeDot.MaxRows ? 1 : Math.Clamp(DecodedBytes / length, 1, 16);
            sbyte[] decoded = ArrayPool<sbyte>.Shared.Rent((block * length) + CacheLine);
            fixed (sbyte* start = decoded)
            {
                // A vector that crosses a cache line costs two accesses, and arrays begin anywhere.
                sbyte* codes = start + (-(nint)start & (CacheLine - 1));
                for (long first = begin; first < end; first += block)
                {
                    int count = (int)Math.Min(block, end - first);
                    for (int i = 0; i < count; i++)
                    {
                        ShardDecode.Best(Packed + ((first + i) * rowBytes), Bits, length, codes + ((long)i * length));
                    }

                    Prefetch(first + count, end, block, rowBytes);

                    Multiply(codes, length, first, count);
                }
            }

            ArrayPool<sbyte>.Shared.Return(decoded);
        }

        // Decoding waits for main memory and multiplying does not: the next rows come in meanwhile. Measured
        // 1.15 × (4 bits) to 1.35 × (7 bits) at M = 1, N = K = 4096.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Prefetch(long first, long end, int rows, int rowBytes)
        {
            if (!Sse.IsSupported)
            {
                return;
            }

            byte* stop = Packed + (Math.Min(first + rows, end) * rowBytes);
            for (byte* line = Packed + (first * rowBytes); line < stop; line += CacheLine)
            {
                Sse.Prefetch0(line);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Multiply(sbyte* codes, int length, long firstRow, int rows)
        {
            (int m, _, int k, int groupSize) = Product.Problem;
            float* scaleScratch = stackalloc float[Product.Groups];
            float* zeroScratch = stackalloc float[Product.Groups];
            float* sums = stackalloc float[CodeDot.MaxRows];
            for (int first = 0; first < m; first += CodeDot.MaxRows)
            {
                int count = Math.Min(CodeDot.MaxRows, m - first);
                for (int r = 0; r < rows; r++)
                {
                    long row = firstRow + r;
                    float* scales = Product.Scales(row, scaleScratch);
                    float* zeros = Zeros is { } zeroCodes ? zeroCodes.CenteredCodes(row, zeroScratch) : null;
                    var weights = new CodeRow(codes + ((long)r * length), scales, zeros, k, groupSize);
                    CodeDot.Best(weights, Product.X + (first * Product.XStride), Product.XStride, count, sums);
                    Product.Finish(row, first, count, scales, zeroScratch, sums);
                }
            }
        }
    }
}
