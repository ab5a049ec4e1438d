using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Kernels;

/// <summary>Asks the kernels of a format in order of preference; the first that supports the problem runs.</summary>
internal static class KernelSelector
{
    /// <summary>Names a kernel to prefer wherever it supports the problem, for measurements and bug reports.</summary>
    public const string OverrideVariable = "TORCHAO_KERNEL";

    /// <summary>Chooses a kernel; index -1 stands for <see cref="ReferenceLinear"/>.</summary>
    /// <remarks>Where no kernel takes the activation scheme, a plain one is chosen, to run on activations that are rounded before.</remarks>
    public static (int Index, KernelChoice Choice) Choose<TWeight>(
        IReadOnlyList<ILinearKernel<TWeight>> kernels, in LinearProblem problem)
        where TWeight : QuantizedTensor
    {
        string? preferred = Environment.GetEnvironmentVariable(OverrideVariable);
        string? forced = !string.IsNullOrEmpty(preferred)
            && (preferred == ReferenceLinear.KernelName || kernels.Any(kernel => kernel.Name == preferred)) ? preferred : null;
        var refused = new List<(string Kernel, string Reason)>();
        int index = problem.Activation is null ? -1 : First(kernels, problem, forced, refused);
        if (index < 0)
        {
            LinearProblem plain = problem.Activation is null
                ? problem
                : problem with { Activation = null, ActivationType = ScalarType.Float32 }; // the type of rounded values
            index = First(kernels, plain, forced, refused);
        }

        string name = index < 0 ? ReferenceLinear.KernelName : kernels[index].Name;
        string? way = index >= 0 && kernels[index] is IKernelOfWays kernel ? kernel.WayOf(problem) : null;
        return (index, new KernelChoice(name, refused, problem.Activation) { Way = way });
    }

    // Of the kernels that are made for the problem's kind of activations, the first that supports it.
    private static int First<TWeight>(
        IReadOnlyList<ILinearKernel<TWeight>> kernels,
        in LinearProblem problem,
        string? forced,
        List<(string Kernel, string Reason)> refused)
        where TWeight : QuantizedTensor
    {
        for (int i = 0; i < kernels.Count; i++)
        {
            if (kernels[i] is IQuantizedActivationKernel<TWeight> != problem.Activation is not null)
            {
                continue;
            }

            string? reason = forced is not null && kernels[i].Name != forced
                ? $"{OverrideVariable} asks for {forced}"
                : kernels[i].ReasonToRefuse(problem);
            if (reason is null)
            {
                return i;
            }

            refused.Add((kernels[i].Name, reason));
        }

        return -1;
    }
}
