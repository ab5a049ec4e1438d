using System.Runtime.CompilerServices;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.BitNet.Kernels;

/// <summary>Floating-point activations times ternary weights; accumulates in float32 and scales each sum once.</summary>
internal sealed unsafe class BitNetLinearCpu : ILinearKernel<BitNetTensor>, IKernelOfWays
{
    /// <inheritdoc/>
    public string Name => "bitnet.cpu.linear";

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public string WayOf(in LinearProblem problem) => FloatPanelProduct.WayOf(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, BitNetTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0]);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        using Tensor? panel = BitNetDot.IsVectorized ? Interleave(operands.Input, problem) : null;
        var rows = new RowDot
        {
            Codes = TensorMemory.Address<byte>(weight.QData),
            Scale = *TensorMemory.Address<float>(weight.Scale),
            Length = problem.K,
        };
        if (panel is not null && FloatPanelProduct.Pays(problem))
        {
            // Codes behind the row meet activations that are zero.
            FloatPanelProduct.Run(problem with { K = checked((int)BitNetDot.PanelLength(problem.K)) }, operands, panel, rows);
        }
        else
        {
            RowProduct.Run(problem, operands, panel ?? operands.Input, rows);
        }

        GC.KeepAlive(weight); // the row products read its codes by address
        return operands.TakeOutput();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Tensor Interleave(Tensor input, in CpuProblem problem)
    {
        int stride = checked((int)CacheStride.Spread(BitNetDot.PanelLength(problem.K)));
        Tensor panel = empty(problem.M, stride, dtype: ScalarType.Float32);
        float* x = TensorMemory.Address<float>(input);
        float* to = TensorMemory.Address<float>(panel);
        for (long i = 0; i < problem.M; i++)
        {
            BitNetDot.Interleave(new(x + (i * problem.K), problem.K), new(to + (i * stride), stride));
        }

        return panel;
    }

    private struct RowDot : IRowDot, IRowDecoder
    {
        public byte* Codes;
        public float Scale;
        public int Length;

        public readonly void Decode(long row, int begin, int count, float* to) =>
            BitNetDot.Decode(Codes + (row * ((Length + 3L) / 4)), Length, Scale, begin, count, to);

        public readonly void Dot(long row, float* x, long stride, int m, float* y) =>
            BitNetDot.Best(Codes + (row * ((Length + 3L) / 4)), Length, Scale, x, stride, m, y);
    }
}
