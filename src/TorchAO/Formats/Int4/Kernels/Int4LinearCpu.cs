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
        int lanes = Int4Dot.BestLanes;
        using Tensor? panel = lanes == 0 ? null : Permute(operands.Input, problem, lanes);
        using Tensor? sums = weight.ZeroPoint is null ? null : GroupSums.Of(operands.Input, problem);
        var job = new Job
        {
            Problem = problem,
            Lanes = lanes,
            Codes = TensorMemory.Address<byte>(weight.QData),
            Scales = new FloatRows(weight.Scale),
            ZeroPoints = weight.ZeroPoint is { } zeroPoint ? new ZeroPointRows(zeroPoint, Int4Grid.Codes.Middle) : null,
            X = TensorMemory.Address<float>(panel ?? operands.Input),
            XStride = (panel ?? operands.Input).size(1),
            XSums = sums is null ? null : TensorMemory.Address<float>(sums),
            Bias = operands.Bias is null ? null : TensorMemory.Address<float>(operands.Bias),
            Y = TensorMemory.Address<float>(operands.Output),
        };
        ParallelRows.Run(problem.N, problem.RowsPerWorker, job);
        GC.KeepAlive(weight); // the addresses above are its tensors'
        return operands.TakeOutput();
    }

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
        public CpuProblem Problem;
        public int Lanes;
        public byte* Codes;
        public FloatRows Scales;
        public ZeroPointRows? ZeroPoints;
        public float* X;
        public long XStride;
        public float* XSums;
        public float* Bias;
        public float* Y;

        // Eight activation rows at a time, so that each weight row leaves main memory once for eight.
        public readonly void Run(long begin, long end)
        {
            (int m, int n, int k, int groupSize) = Problem;
            int rowBytes = (k + 1) / 2;
            float* scaleScratch = stackalloc float[Scales.Columns];
            float* zeroScratch = stackalloc float[Scales.Columns];
            float* sums = stackalloc float[Int4Dot.MaxRows];
            for (int first = 0; first < m; first += Int4Dot.MaxRows)
            {
                int count = Math.Min(Int4Dot.MaxRows, m - first);
                for (long row = begin; row < end; row++)
                {
                    float* scales = Scales.Row(row, scaleScratch);
                    var weights = new Int4Row(Codes + (row * rowBytes), scales, k, groupSize);
                    Dot(Lanes, weights, X + (first * XStride), count, sums);
                    if (ZeroPoints is { } zeroPoints)
                    {
                        float* groupSums = XSums + ((long)first * Scales.Columns);
                        GroupSums.Add(zeroPoints.Row(row, scales, zeroScratch), groupSums, Scales.Columns, count, sums);
                    }

                    for (int i = 0; i < count; i++)
                    {
                        Y[((long)(first + i) * n) + row] = Bias is null ? sums[i] : sums[i] + Bias[row];
                    }
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
