using TorchAO.Kernels;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats;

/// <summary>A format over its tensor class: closes the generic type between weight and kernels once for all formats.</summary>
internal abstract class Format<TWeight> : IFormat
    where TWeight : QuantizedTensor
{
    public abstract string Name { get; }

    public abstract string Summary { get; }

    public abstract IReadOnlyList<IQuantizeHandler> Handlers { get; }

    public IReadOnlyList<string> Kernels => [.. LinearKernels.Select(kernel => kernel.Name)];

    /// <summary>Gets the kernels in order of preference.</summary>
    protected abstract IReadOnlyList<ILinearKernel<TWeight>> LinearKernels { get; }

    public abstract IQuantizationGrid CreateGrid(long inFeatures);

    public abstract QuantizedTensor Read(StoredTensor stored);

    public LinearExecutor CreateExecutor(QuantizedTensor weight, string? kernel = null, ActivationScheme? activation = null)
    {
        IReadOnlyList<ILinearKernel<TWeight>> kernels = kernel is null
            ? LinearKernels
            : [.. LinearKernels.Where(candidate => candidate.Name == kernel)];
        return kernel is null or ReferenceLinear.KernelName || kernels.Count > 0
            ? new LinearExecutor<TWeight>((TWeight)weight, kernels, activation)
            : throw new QuantizationException(
                $"format '{Name}' has no kernel '{kernel}'; known: {string.Join(", ", Kernels.Append(ReferenceLinear.KernelName))}.");
    }

    public KernelChoice Explain(in LinearProblem problem) => KernelSelector.Choose(LinearKernels, problem).Choice;
}
