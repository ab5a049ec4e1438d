using System.Runtime.CompilerServices;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4.Kernels;

/// <summary>Floating-point activations times int4 weights with a scale (and a zero point) for each group; accumulates in float32.</summary>
internal sealed unsafe class Int4LinearCpu : ILinearKernel<Int4Tensor>
{
    /// <inheritdoc/>
    public string Name => "int4.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem)
    {
        if (problem.GroupSize % Int4Dot.LaneCodes != 0 && problem.GroupSize != problem.InFeatures)
        {
            return $"group size {problem.GroupSize} is not a multiple of {Int4Dot.LaneCodes}";
        }

        return CpuProblem.ReasonToRefuse(problem);
    }

    /// <inheritdoc/>
    public Tensor Run(Tensor input, Int4Tensor weight, Tensor? bias)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        using var operands = new FloatOperands(input, bias, problem.N);
        int lanes = VectorProduct.BestLanes;
        using Tensor? panel = lanes == 0 ? null : Permute(operands.Input, problem, lanes);
        using Tensor? sums = weight.ZeroPoint is null ? null : GroupSums.Of(operands.Input, problem);
        ZeroPointRows? zeroPoints = weight.ZeroPoint is { } zeroPoint
            ? new ZeroPointRows(zeroPoint, Int4Grid.Codes.Middle)
            : null;
        var job = new Job
        {
            Product = new GroupedProduct(problem, operands, panel ?? operands.Input, weight.Scale, zeroPoints, sums),
            Lanes = lanes,
            Codes = TensorMemory.Address<byte>(weight.QData),
        };
        ParallelRows.Run(problem.N, problem.RowsPerWorker, job);
        GC.KeepAlive(weight); // the addresses above are its tensors'
        return operands.TakeOutput();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Tensor Permute(Tensor input, CpuProblem problem, int lanes)
    {
        long stride = Int4Panel.Stride(problem.K, lanes);
        Tensor panel = empty(problem.M, stride, dtype: ScalarType.Float32);
        float* from = TensorMemory.Address<float>(input);
        float* to = TensorMemory.Address<float>(panel);
        for (long i = 0; i < problem.M; i++)
        {
            Int4Panel.Permute(new(from + (i * problem.K), problem.K), lanes, new(to + (i * stride), checked((int)stride)));
        }

        return panel;
    }

    private struct Job : IRowJob
    {
        public GroupedProduct Product;
        public int Lanes;
        public byte* Codes;

        // Eight activation rows at a time, so that each weight row leaves main memory once for eight.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            (int m, _, int k, int groupSize) = Product.Problem;
            int rowBytes = (k + 1) / 2;
            float* scaleScratch = stackalloc float[Product.Groups];
            float* zeroScratch = stackalloc float[Product.Groups];
            float* sums = stackalloc float[Int4Dot.MaxRows];
            for (int first = 0; first < m; first += Int4Dot.MaxRows)
            {
                int count = Math.Min(Int4Dot.MaxRows, m - first);
                for (long row = begin; row < end; row++)
                {
                    float* scales = Product.Scales(row, scaleScratch);
                    var weights = new Int4Row(Codes + (row * rowBytes), scales, k, groupSize);
                    Dot(Lanes, weights, Product.X + (first * Product.XStride), count, sums);
                    Product.Finish(row, first, count, scales, zeroScratch, sums);
                }
            }
        }

        private static void Dot(int lanes, in Int4Row row, float* x, int m, float* y)
        {
            if (lanes == 0)
            {
                Int4Dot.Scalar(row, x, m, y);
            }
            else if (row.GroupSize == row.Length)
            {
                Wide<RowScales>(lanes, row, x, m, y);
            }
            else if (row.GroupSize == 32)
            {
                Wide<Group32Scales>(lanes, row, x, m, y);
            }
            else if (row.GroupSize == 64)
            {
                Wide<Group64Scales>(lanes, row, x, m, y);
            }
            else if (row.GroupSize % 128 == 0)
            {
                Wide<WholeBlockScales>(lanes, row, x, m, y);
            }
            else
            {
                Wide<AnyGroupScales>(lanes, row, x, m, y);
            }
        }

        private static void Wide<TScales>(int lanes, in Int4Row row, float* x, int m, float* y)
            where TScales : struct, ILaneScales
        {
            if (lanes == 16)
            {
                Int4Dot.Wide512<TScales>(row, x, m, y);
            }
            else
            {
                Int4Dot.Wide256<TScales>(row, x, m, y);
            }
        }
    }
}
