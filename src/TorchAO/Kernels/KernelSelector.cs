using TorchAO.Tensors;

namespace TorchAO.Kernels;

/// <summary>Which kernel runs a problem, and why the ones before it did not.</summary>
/// <param name="Kernel">The kernel's name.</param>
/// <param name="Refused">The preferred kernels that refused, with their reasons, in order of preference.</param>
public sealed record KernelChoice(string Kernel, IReadOnlyList<(string Kernel, string Reason)> Refused)
{
    /// <summary>Gets whether only the reference is left: dequantize, then multiply in floating point.</summary>
    public bool IsReference => Kernel == ReferenceLinear.KernelName;

    /// <summary>Says in one line which kernel runs and why others do not.</summary>
    public override string ToString() => Refused.Count == 0
        ? Kernel
        : $"{Kernel} ({string.Join("; ", Refused.Select(refused => $"{refused.Kernel}: {refused.Reason}"))})";
}

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
