using System.Runtime.CompilerServices;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>A few activation rows rounded to integer codes of at most 8 bits, times a weight of small integers.</summary>
/// <param name="name">The kernel's name.</param>
/// <param name="bits">Bits of the weight's codes.</param>
/// <param name="maxRows">The most rows at which this pays.</param>
/// <param name="look">Finds codes and scales of a weight.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
internal sealed unsafe class DynamicGemv<TWeight>(string name, int bits, int maxRows, Func<TWeight, GemvWeight> look)
    : IQuantizedActivationKernel<TWeight>
    where TWeight : QuantizedTensor
{
    // Weights are immutable, so that a layer's sums are made once, at the first activations that have a zero point.
    private readonly ConditionalWeakTable<TWeight, float[]> rowSums = [];

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        TokenCodes.ReasonToRefuse(problem)
        ?? CpuProblem.ReasonToRefuse(problem)
        ?? (problem.Rows > maxRows ? $"pays up to {maxRows} rows" : GemvLinear<TWeight>.ReasonNotToCut(bits, problem));

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias) => throw TokenCodes.NoScheme(name);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias, ActivationScheme activation)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        GemvWeight rows = look(weight);
        GemvShape shape = GemvLinear<TWeight>.ShapeOf(problem, rows, planes: 1);
        using var tokens = new TokenCodes(input, activation);
        using GemvActivationParts activations = GemvActivationParts.Create(
            shape,
            problem.M,
            (part, first) => GemvActivations.FromCodes(
                part, tokens.Codes + ((long)first * problem.K), problem.K, problem.GroupSize, rows.Offset))!;
        using var operands = new RoundedOperands(input, bias, problem.N);
        float[]? sums = tokens.ZeroPoints == null ? null : rowSums.GetValue(weight, _ => SumRows(problem with { M = 1 }, rows, shape));
        fixed (float* rowSum = sums)
        {
            var shift = new GemvShift(tokens.Scales, tokens.ZeroPoints, rowSum);
            GemvProduct.Run(problem, rows, shape, activations.Parts, shift, operands.BiasAddress, operands.OutputAddress);
        }

        GC.KeepAlive(weight); // the addresses of codes and scales are its tensors'
        return operands.TakeOutput();
    }

    // A row of ones times the weight is the sum of its values, which a shift of all activations multiplies.
    private static float[] SumRows(in CpuProblem problem, GemvWeight rows, GemvShape shape)
    {
        sbyte[] ones = new sbyte[problem.K];
        ones.AsSpan().Fill(1);
        float[] sums = new float[problem.N];
        fixed (sbyte* codes = ones)
        fixed (float* y = sums)
        {
            using var activations = GemvActivations.FromCodes(shape with { Rows = 1 }, codes, problem.K, problem.GroupSize, rows.Offset);
            GemvProduct.Run(problem, rows, shape, [activations], default, null, y);
        }

        return sums;
    }
}
