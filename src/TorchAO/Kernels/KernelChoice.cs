using TorchAO.Primitives;

namespace TorchAO.Kernels;

/// <summary>Which kernel runs a problem, and why the ones before it did not.</summary>
/// <param name="Kernel">The kernel's name.</param>
/// <param name="Refused">The preferred kernels that refused, with their reasons, in order of preference.</param>
/// <param name="Activation">How activations are rounded before or in the kernel; <see langword="null"/> where they are not.</param>
public sealed record KernelChoice(
    string Kernel, IReadOnlyList<(string Kernel, string Reason)> Refused, ActivationScheme? Activation = null)
{
    /// <summary>Gets whether only the reference is left: dequantize, then multiply in floating point.</summary>
    public bool IsReference => Kernel == ReferenceLinear.KernelName;

    /// <summary>Gets which way the kernel goes, such as <c>in panels</c>, where it has several; <see langword="null"/> elsewhere.</summary>
    public string? Way { get; init; }

    /// <summary>Says in one line which kernel runs and why others do not.</summary>
    public override string ToString() =>
        Kernel + (Way is null ? string.Empty : $" {Way}") + (Activation is null ? string.Empty : $" on activations in {Activation}") + (Refused.Count == 0
            ? string.Empty
            : $" ({string.Join("; ", Refused.Select(refused => $"{refused.Kernel}: {refused.Reason}"))})");
}
