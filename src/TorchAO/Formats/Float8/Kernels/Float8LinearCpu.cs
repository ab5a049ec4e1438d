using System.Runtime.CompilerServices;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Float8.Kernels;

/// <summary>
/// Floating-point activations times float8 weights: <c>y[m, n] = scale[n] · Σ_k x[m, k] · value(code[n, k])</c>; accumulates
/// in float32. Activations <c>[M, K]</c>, codes <c>[N, K]</c> row by row as stored, result <c>[M, N]</c>.
/// </summary>
internal sealed unsafe class Float8LinearCpu : ILinearKernel<Float8Tensor>, IKernelOfWays
{
    /// <inheritdoc/>
    public string Name => "float8.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public string WayOf(in LinearProblem problem) => FloatPanelProduct.WayOf(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, Float8Tensor weight, Tensor? bias)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        using var operands = new FloatOperands(input, bias, problem.N, spreadsRows: true);
        var job = new Job
        {
            Product = new GroupedProduct(problem, operands, operands.Input, weight.Scale, null, null),
            Codes = TensorMemory.Address<byte>(weight.QData),
            Type = weight.QData.dtype,
            HasRowScales = weight.Scale.size(0) > 1,
        };
        if (FloatPanelProduct.Pays(problem))
        {
            FloatPanelProduct.Run(problem, operands, operands.Input, job);
        }
        else
        {
            ParallelRows.Run(problem.N, problem.RowsPerWorker, job);
        }

        GC.KeepAlive(weight); // the addresses above are its tensors'
        return operands.TakeOutput();
    }

    private struct Job : IRowJob, IRowDecoder
    {
        public GroupedProduct Product;
        public byte* Codes;
        public ScalarType Type;
        public bool HasRowScales;

        public readonly void Decode(long row, int begin, int count, float* to)
        {
            float scratch;
            float scale = *Product.Scales(HasRowScales ? row : 0, &scratch);
            int k = Product.Problem.K;
            Float8Dot.Decode(new Float8Row(Codes + (row * k), Type, k), begin, count, scale, to);
        }

        // Eight activation rows at a time, so that each weight row leaves main memory once for eight.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long begin, long end)
        {
            (int m, _, int k, _) = Product.Problem;
            float scratch;
            float* sums = stackalloc float[Float8Dot.MaxRows];
            for (int first = 0; first < m; first += Float8Dot.MaxRows)
            {
                int count = Math.Min(Float8Dot.MaxRows, m - first);
                for (long row = begin; row < end; row++)
                {
                    float* scale = Product.Scales(HasRowScales ? row : 0, &scratch);
                    Float8Dot.Best(new Float8Row(Codes + (row * k), Type, k), Product.X + (first * Product.XStride), Product.XStride, count, sums);
                    for (int i = 0; i < count; i++)
                    {
                        sums[i] *= *scale;
                    }

                    Product.Finish(row, first, count, scale, null, sums);
                }
            }
        }
    }
}
