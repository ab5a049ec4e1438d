using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu.Panels;

/// <summary>Activations rounded to integer codes of at most 8 bits, times a weight of small integers.</summary>
/// <param name="name">The kernel's name.</param>
/// <param name="look">Makes the panels of a weight.</param>
/// <typeparam name="TWeight">The format's tensor.</typeparam>
/// <typeparam name="TPanel">Its panels.</typeparam>
internal sealed unsafe class DynamicPanelGemm<TWeight, TPanel>(string name, Func<TWeight, PanelBlocks, TPanel> look)
    : IQuantizedActivationKernel<TWeight>
    where TWeight : QuantizedTensor
    where TPanel : struct, IWeightPanel
{
    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string? ReasonToRefuse(in LinearProblem problem) =>
        TokenCodes.ReasonToRefuse(problem)
        ?? CpuProblem.ReasonToRefuse(problem)
        ?? PanelGemm<TWeight, TPanel>.ReasonNotToCut(problem);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias) => throw TokenCodes.NoScheme(name);

    /// <inheritdoc/>
    public Tensor Run(Tensor input, TWeight weight, Tensor? bias, ActivationScheme activation)
    {
        var problem = new CpuProblem(input, weight.Shape, weight.GroupSize);
        var blocks = new PanelBlocks(problem.K, problem.GroupSize);
        TPanel panel = look(weight, blocks);
        using var tokens = new TokenCodes(input, activation);
        using ActivationPanel x = ActivationPanel.FromCodes(
            tokens.Codes, problem.M, blocks, TPanel.Order, TPanel.Offset, panel.HasZeros);
        using var operands = new RoundedOperands(input, bias, problem.N);
        PanelProduct.Run(
            x, panel, problem.N, tokens.Scales, tokens.ZeroPoints, operands.BiasAddress, operands.OutputAddress);
        GC.KeepAlive(weight); // the panels' addresses are its tensors'
        return operands.TakeOutput();
    }
}
