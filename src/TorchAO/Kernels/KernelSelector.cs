using TorchAO.Tensors;

namespace TorchAO.Kernels;

/// <summary>Asks the kernels of a format in order of preference; the first that supports the problem runs.</summary>
internal static class KernelSelector
{
    /// <summary>Names a kernel to prefer wherever it supports the problem, for measurements and bug reports.</summary>
    public const string OverrideVariable = "TORCHAO_KERNEL";

    /// <summary>Chooses a kernel; index -1 stands for <see cref="ReferenceLinear"/>.</summary>
    public static (int Index, KernelChoice Choice) Choose<TWeight>(
        IReadOnlyList<ILinearKernel<TWeight>> kernels, in LinearProblem problem)
        where TWeight : QuantizedTensor
    {
        string? preferred = Environment.GetEnvironmentVariable(OverrideVariable);
        bool isForced = !string.IsNullOrEmpty(preferred)
            && (preferred == ReferenceLinear.KernelName || kernels.Any(kernel => kernel.Name == preferred));
        var refused = new List<(string Kernel, string Reason)>();
        for (int i = 0; i < kernels.Count; i++)
        {
            string? reason = isForced && kernels[i].Name != preferred
                ? $"{OverrideVariable} asks for {preferred}"
                : kernels[i].ReasonToRefuse(problem);
            if (reason is null)
            {
                return (i, new KernelChoice(kernels[i].Name, refused));
            }

            refused.Add((kernels[i].Name, reason));
        }

        return (-1, new KernelChoice(ReferenceLinear.KernelName, refused));
    }
}
