using System.Runtime.CompilerServices;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int8.Kernels;

/// <summary>Floating-point activations times int8 weights with a scale for each row or group; accumulates in float32.</summary>
internal sealed unsafe class Int8LinearCpu : ILinearKernel<Int8Tensor>
{
    /// <inheritdoc/>
    public string Name => "int8.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, Int8Tensor weight, Tensor? bias)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        using var operands = new FloatOperands(input, bias, problem.N, spreadsRows: true);
        var job = new Job
        {
            Problem = problem,
            Codes = TensorMemory.Address<sbyte>(weight.QData),
            Scales = new FloatRows(weight.Scale),
            X = TensorMemory.Address<float>(operands.Input),
            XStride = operands.Input.size(1),
            Bias = operands.Bias is null ? null : TensorMemory.Address<float>(operands.Bias),
            Y = TensorMemory.Address<float>(operands.Output),
        };
        ParallelRows.Run(problem.N, problem.RowsPerWorker, job);
        GC.KeepAlive(weight); // the addresses above are its tensors'
        return operands.TakeOutput();
    }

    private struct Job : IRowJob
    {
        public CpuProblem Problem;
        public sbyte* Codes;
        public FloatRows Scales;
        public float* X;
        public long XStride;
        public float* Bias;
        public float* Y;

        // Weight rows are the inner loop only over activations beyond eight: each row leaves main memory once for eight.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            (int m, int n, int k, int groupSize) = Problem;
            float* scratch = stackalloc float[Scales.Columns];
            float* sums = stackalloc float[CodeDot.MaxRows];
            for (int first = 0; first < m; first += CodeDot.MaxRows)
            {
                int count = Math.Min(CodeDot.MaxRows, m - first);
                float* x = X + (first * XStride);
                for (long row = begin; row < end; row++)
                {
                    var weights = new CodeRow(Codes + (row * k), Scales.Row(row, scratch), null, k, groupSize);
                    CodeDot.Best(weights, x, XStride, count, sums);
                    for (int i = 0; i < count; i++)
                    {
                        Y[((long)(first + i) * n) + row] = Bias is null ? sums[i] : sums[i] + Bias[row];
                    }
                }
            }
        }
    }
}
