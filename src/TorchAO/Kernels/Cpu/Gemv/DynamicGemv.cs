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
        using var tokens = new TokenCodes(input, activation, appendsOnes: true);
        using GemvActivationParts activations = GemvActivationParts.Create(
            shape,
            problem.M + (tokens.ZeroPoints == null ? 0 : 1),
            (part, first) => GemvActivations.FromCodes(
                part, tokens.Codes + ((long)first * problem.K), problem.K, problem.GroupSize, rows.Offset))!;
        using var operands = new RoundedOperands(input, bias, problem.N);
        GemvProduct.Run(
            problem, rows, shape, activations.Parts, tokens.Scales, tokens.ZeroPoints, operands.BiasAddress, operands.OutputAddress);
        GC.KeepAlive(weight); // the addresses of codes and scales are its tensors'
        return operands.TakeOutput();
    }
}
