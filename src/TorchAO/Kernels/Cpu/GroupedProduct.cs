using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>All of a product but the codes, by address: activations, scales, zero points that are values, bias and result.</summary>
/// <remarks>Holds addresses: the tensors must outlive the value.</remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct GroupedProduct
{
    private readonly FloatRows scales;
    private readonly ZeroPointRows? zeroPoints;
    private readonly float* xSums;
    private readonly float* bias;
    private readonly float* y;

    /// <summary>Looks at the operands.</summary>
    /// <param name="problem">The sizes.</param>
    /// <param name="operands">Activations, bias and result.</param>
    /// <param name="x">The activations in the order in which the kernel reads them, M rows.</param>
    /// <param name="scale">Scales <c>[N, K / group]</c>.</param>
    /// <param name="zeroPoints">Zero points that multiply the sums of groups, or <see langword="null"/>.</param>
    /// <param name="sums">The sums, <c>[M, K / group]</c>; there if and only if zero points are.</param>
    public GroupedProduct(
        CpuProblem problem, FloatOperands operands, Tensor x, Tensor scale, ZeroPointRows? zeroPoints, Tensor? sums)
    {
        Problem = problem;
        scales = new FloatRows(scale);
        this.zeroPoints = zeroPoints;
        X = TensorMemory.Address<float>(x);
        XStride = x.size(1);
        xSums = sums is null ? null : TensorMemory.Address<float>(sums);
        bias = operands.Bias is null ? null : TensorMemory.Address<float>(operands.Bias);
        y = TensorMemory.Address<float>(operands.Output);
    }

    /// <summary>Gets the sizes.</summary>
    public CpuProblem Problem { get; }

    /// <summary>Gets the groups of a row.</summary>
    public int Groups => scales.Columns;

    /// <summary>Gets the activations.</summary>
    public float* X { get; }

    /// <summary>Gets the distance of activation rows in elements.</summary>
    public long XStride { get; }

    /// <summary>Gets the scales of a weight row.</summary>
    /// <param name="row">The row's index.</param>
    /// <param name="scratch">Room for <see cref="Groups"/> values.</param>
    public float* Scales(long row, float* scratch) => scales.Row(row, scratch);

    /// <summary>Adds zero points and bias to the results of some activation rows with one weight row, and stores them.</summary>
    /// <param name="row">The weight row.</param>
    /// <param name="first">The first activation row.</param>
    /// <param name="count">Activation rows.</param>
    /// <param name="rowScales">The weight row's scales.</param>
    /// <param name="scratch">Room for <see cref="Groups"/> values.</param>
    /// <param name="results">The results; changed.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Finish(long row, int first, int count, float* rowScales, float* scratch, float* results)
    {
        if (zeroPoints is { } zeros)
        {
            GroupSums.Add(zeros.Row(row, rowScales, scratch), xSums + ((long)first * Groups), Groups, count, results);
        }

        for (int i = 0; i < count; i++)
        {
            y[((long)(first + i) * Problem.N) + row] = bias == null ? results[i] : results[i] + bias[row];
        }
    }
}
