using TorchAO.Kernels;
using TorchSharp;

namespace TorchAO.Lifecycle;

/// <summary>How <c>Quantize</c> and <c>Explain</c> walk a model.</summary>
public sealed record QuantizeOptions
{
    /// <summary>The name of libtorch's product over the dequantized weight, for <see cref="Kernel"/>.</summary>
    public const string ReferenceKernel = ReferenceLinear.KernelName;

    /// <summary>Gets a filter over layers: module name and module; layers for which it is false are excluded.</summary>
    /// <value><see langword="null"/> (the default) takes all. The counterpart of torchao's <c>filter_fn</c>.</value>
    public Func<string, torch.nn.Module, bool>? Filter { get; init; }

    /// <summary>Gets which kinds of modules are looked at; rules, filter, coverage and report see no others.</summary>
    /// <value><see cref="ModuleKinds.Linear"/> by default, as in torchao.</value>
    public ModuleKinds Modules { get; init; } = ModuleKinds.Linear;

    /// <summary>Gets where quantized layers go.</summary>
    /// <value><see langword="null"/> (the default) leaves each where its weight is; a rule's own device goes first.</value>
    public torch.Device? Device { get; init; }

    /// <summary>Gets the ranges from which configs with static activations take each layer's scale, unless they have one.</summary>
    /// <value><see langword="null"/> by default: such configs bring their scales. What <c>model.Calibrate</c> returned, or
    /// another copy of the model did.</value>
    public CalibrationResult? Calibration { get; init; }

    /// <summary>Gets the least share of linear weight bytes that must be quantized after the call, from 0 to 1.</summary>
    /// <value>0 (the default) asks for at least one layer.</value>
    /// <exception cref="ArgumentException">The value is no share.</exception>
    public double MinimumCoverage
    {
        get;
        init => field = value is >= 0 and <= 1
            ? value
            : throw new ArgumentException(
                $"MinimumCoverage is {value}, expected a share from 0 to 1; write 0.9 for 90 %.", nameof(value));
    }

    /// <summary>Gets whether layers that are quantized already stay so, whatever their config asks for now.</summary>
    /// <value><see langword="false"/> by default: another format or other parameters are an error.</value>
    public bool KeepQuantized { get; init; }

    /// <summary>Gets whether each layer's weight error is measured, which dequantizes each weight once.</summary>
    /// <value><see langword="false"/> by default.</value>
    public bool MeasureError { get; init; }

    /// <summary>Gets the only kernel that layers may use, for measurements and comparisons.</summary>
    /// <value><see langword="null"/> (the default) lets each layer use the first that supports its problem.</value>
    public string? Kernel { get; init; }

    /// <summary>Gets who is told of each layer as its weight is quantized; the model changes after the last.</summary>
    public IProgress<LayerReport>? Progress { get; init; }

    /// <summary>Gets the token that stops the work between two layers; the model is then as it was.</summary>
    public CancellationToken CancellationToken { get; init; }
}
