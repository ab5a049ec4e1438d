using TorchAO.Kernels.Cpu.Emitted;
using TorchAO.Runtime.Memory;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Floating-point activations times a weight of small integers, for many rows: exact products of integers, added up exactly
/// over a block of 512 input features or less, then in float32.</summary>
/// <remarks>Activations are put into the fixed point of <see cref="FixedPoint"/> first, which costs no more than float32 itself does.</remarks>
/// <param name="name">The kernel's name.</param>
/// <param name="look">Makes the panels of a weight.</param>
/// <param name="ofInfinite">The kernel for activations that have infinities or NaN in them.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
/// <typeparam name="TPanel">Its panels.</typeparam>
internal sealed unsafe class PanelGemm<TWeight, TPanel>(
    string name, Func<TWeight, PanelBlocks, TPanel> look, ILinearKernel<TWeight> ofInfinite) : ILinearKernel<TWeight>
    where TWeight : QuantizedTensor
    where TPanel : struct, IWeightPanel
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        CpuProblem.ReasonToRefuse(problem)
        ?? ReasonNotToCut(problem)
        ?? EmittedCode.ByteProductsUnavailable
        ?? ofInfinite.ReasonToRefuse(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        var blocks = new PanelBlocks(problem.K, problem.GroupSize);
        using var operands = new FloatOperands(input, bias, problem.N);
        TPanel panel = look(weight, blocks);
        using ActivationPanel? x = ActivationPanel.Exact(
            TensorMemory.Address<float>(operands.Input), problem.M, blocks, TPanel.Order, TPanel.Offset, panel.HasZeros);
        if (x is null)
        {
            return ofInfinite.Run(input, weight, bias);
        }

        float* biasRow = operands.Bias is null ? null : TensorMemory.Address<float>(operands.Bias);
        PanelProduct.Run(x, panel, problem.N, scale: null, zero: null, biasRow, TensorMemory.Address<float>(operands.Output));
        GC.KeepAlive(weight); // the panels' addresses are its tensors'
        return operands.TakeOutput();
    }

    /// <summary>Says why panels cannot be made of a weight, or <see langword="null"/>.</summary>
    internal static string? ReasonNotToCut(in LinearProblem problem) =>
        PanelBlocks.CanCut(problem.InFeatures, problem.GroupSize)
            ? null
            : $"group size {problem.GroupSize} is not a multiple of {PanelBlocks.Step}";
}
