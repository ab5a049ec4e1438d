using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Kernels;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Formats.Mx.Kernels;

/// <summary>Floating-point activations times MX weights of any element type; accumulates in float32.</summary>
internal sealed unsafe class MxLinearCpu : ILinearKernel<MxTensor>, IKernelOfWays
{
    /// <inheritdoc/>
    public string Name => "mx.cpu.linear";

    private static bool IsVectorized => Vector256.IsHardwareAccelerated;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) => problem.GroupSize % MxDot.Step != 0
        ? $"block size {problem.GroupSize} is not a multiple of {MxDot.Step}"
        : CpuProblem.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public string WayOf(in LinearProblem problem) => FloatPanelProduct.WayOf(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, MxTensor weight, Tensor? bias)
    {
        using var operands = new FloatOperands(input, bias, weight.Shape[0], spreadsRows: true);
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        switch (weight.Element.Type)
        {
            case MxElementType.Float8E4M3:
                Run<Mx8Codes<Float8E4M3>>(problem, operands, weight);
                break;
            case MxElementType.Float8E5M2:
                Run<Mx8Codes<Float8E5M2>>(problem, operands, weight);
                break;
            case MxElementType.Float6E3M2:
                Run<Mx6Codes<Float6E3M2>>(problem, operands, weight);
                break;
            case MxElementType.Float6E2M3:
                Run<Mx6Codes<Float6E2M3>>(problem, operands, weight);
                break;
            default:
                Run<Mx4Codes>(problem, operands, weight);
                break;
        }

        GC.KeepAlive(weight); // the row products read its tensors by address
        return operands.TakeOutput();
    }

    private static void Run<TCodes>(in CpuProblem problem, FloatOperands operands, MxTensor weight)
        where TCodes : struct, IMxCodes
    {
        // Before the loops are compiled, which otherwise ask at each look-up whether the tables have been made.
        RuntimeHelpers.RunClassConstructor(typeof(TCodes).TypeHandle);
        using Tensor? split = TCodes.IsSplit && IsVectorized ? Split(operands.Input, problem) : null;
        var rows = new RowDot<TCodes>
        {
            Codes = TensorMemory.Address<byte>(weight.QData),
            Scales = TensorMemory.Address<byte>(weight.Scale),
            Values = weight.Element.Values,
            Length = problem.K,
            BlockSize = problem.GroupSize,
        };
        if (FloatPanelProduct.Pays(problem))
        {
            FloatPanelProduct.Run(problem, operands, split ?? operands.Input, rows);
        }
        else
        {
            RowProduct.Run(problem, operands, split ?? operands.Input, rows);
        }
    }

    // Of every 32 activations the even ones first, then the odd ones: as the halves of bytes are decoded.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Tensor Split(Tensor input, in CpuProblem problem)
    {
        long stride = input.size(1);
        Tensor split = empty(problem.M, stride, dtype: ScalarType.Float32);
        float* from = TensorMemory.Address<float>(input);
        float* to = TensorMemory.Address<float>(split);
        for (int i = 0; i < problem.M; i++, from += stride, to += stride)
        {
            Split(new ReadOnlySpan<float>(from, problem.K), new Span<float>(to, problem.K));
        }

        return split;
    }

    /// <summary>Puts the even ones of every 32 before the odd ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Split(ReadOnlySpan<float> row, Span<float> split)
    {
        for (int k = 0; k < row.Length; k++)
        {
            split[(k & ~(MxDot.Step - 1)) + (k % 2 * (MxDot.Step / 2)) + (k % MxDot.Step / 2)] = row[k];
        }
    }

    private struct RowDot<TCodes> : IRowDot, IRowDecoder
        where TCodes : struct, IMxCodes
    {
        public byte* Codes;
        public byte* Scales;
        public IReadOnlyList<float> Values;
        public int Length;
        public int BlockSize;

        public readonly void Decode(long row, int begin, int count, float* to) => MxDot.Decode<TCodes>(Row(row), begin, count, to);

        public readonly void Dot(long row, float* x, long stride, int m, float* y)
        {
            MxRow weights = Row(row);
            if (Vector512.IsHardwareAccelerated)
            {
                MxDot.Wide512<TCodes>(weights, x, stride, m, y);
            }
            else if (IsVectorized)
            {
                MxDot.Wide256<TCodes>(weights, x, stride, m, y);
            }
            else
            {
                MxDot.Scalar(weights, Values, TCodes.Bits, x, stride, m, y);
            }
        }

        private readonly MxRow Row(long row) => new(
            Codes + (row * (Length * (long)TCodes.Bits / 8)), Scales + (row * (Length / BlockSize)), Length, BlockSize);
    }
}
