using TorchAO.Kernels.Cpu.Emitted;
using TorchAO.Runtime.Memory;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>A few floating-point activation rows times a weight of small integers: fixed point of 24 bits, integers added up exactly over
/// a block of at most 512 input features, then float32.</summary>
/// <param name="name">The kernel's name.</param>
/// <param name="bits">Bits of the weight's codes.</param>
/// <param name="maxRows">The most rows at which this pays.</param>
/// <param name="look">Finds codes and scales of a weight.</param>
/// <param name="ofInfinite">The kernel for activations that have infinities or NaN in them.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
internal sealed unsafe class GemvLinear<TWeight>(
    string name, int bits, int maxRows, Func<TWeight, GemvWeight> look, ILinearKernel<TWeight> ofInfinite) : ILinearKernel<TWeight>
    where TWeight : QuantizedTensor
{
    private const int Planes = FixedPoint.Planes;

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        CpuProblem.ReasonToRefuse(problem)
        ?? (problem.Rows > maxRows ? $"pays up to {maxRows} rows" : ReasonNotToCut(bits, problem))
        ?? EmittedCode.ByteProductsUnavailable
        ?? ofInfinite.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        using var operands = new FloatOperands(input, bias, problem.N);
        GemvWeight rows = look(weight);
        GemvShape shape = ShapeOf(problem, rows, Planes);
        float* x = TensorMemory.Address<float>(operands.Input);
        using GemvActivationParts? activations = GemvActivationParts.Create(
            shape, problem.M, (part, first) => GemvActivations.Exact(
                part, x + ((long)first * problem.K), problem.K, problem.GroupSize, rows.Offset));
        if (activations is null)
        {
            return ofInfinite.Run(input, weight, bias);
        }

        float* biasRow = operands.Bias is null ? null : TensorMemory.Address<float>(operands.Bias);
        GemvProduct.Run(
            problem, rows, shape, activations.Parts, default, biasRow, TensorMemory.Address<float>(operands.Output));
        GC.KeepAlive(weight); // the addresses of codes and scales are its tensors'
        return operands.TakeOutput();
    }

    /// <summary>Says why a weight's groups do not fit, or <see langword="null"/>.</summary>
    internal static string? ReasonNotToCut(int bits, in LinearProblem problem) =>
        GemvShape.Cut(bits, problem.InFeatures, problem.GroupSize).BlockUnits == 0
            ? $"group size {problem.GroupSize} is not a quarter, a half or a multiple of {GemvShape.UnitBytes * 8 / bits}"
            : null;

    /// <summary>Finds the function for a product, for the most rows that one call takes.</summary>
    internal static GemvShape ShapeOf(in CpuProblem problem, in GemvWeight weight, int planes)
    {
        (int blockUnits, int groupsPerUnit) = GemvShape.Cut(weight.Bits, problem.K, problem.GroupSize);
        return new GemvShape(weight.Bits, planes, GemvShape.MaxRows, 1, blockUnits, groupsPerUnit, weight.ZeroPoints is not null);
    }
}
