using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>A product of a few activation rows with one to three weights of one kind, and what is computed around it.</summary>
public sealed record GemvProduct
{
    /// <summary>Gets the weights: one; two for <see cref="GemvEpilogue.Gate"/>; up to three side by side.</summary>
    public required IReadOnlyList<CudaWeight> Weights { get; init; }

    /// <summary>Gets the biases <c>[N]</c> of the weights in the type of the activations, in the same order; absent where none has one.</summary>
    public IReadOnlyList<Tensor?>? Biases { get; init; }

    /// <summary>Gets the activations <c>[M, K]</c> in bfloat16 or float16.</summary>
    public required Tensor Input { get; init; }

    /// <summary>Gets where results go: <c>[M, all N]</c> in the type of the activations, or in float32 where they are stored.</summary>
    public required Tensor Output { get; init; }

    /// <summary>Gets the gain <c>[K]</c> of a root mean square norm over the activations, or <see langword="null"/>.</summary>
    public Tensor? Gain { get; init; }

    /// <summary>Gets the epsilon of that norm.</summary>
    public double Epsilon { get; init; }

    /// <summary>Gets how activations are rounded, behind the norm; <see langword="null"/> where they stay as they are.</summary>
    public ActivationScheme? Activation { get; init; }

    /// <summary>Gets how the kernel rounds.</summary>
    internal GemvRounding Rounding => GemvRoundings.Of(Activation, Input.dtype, Input.size(0)) ?? GemvRounding.None;

    /// <summary>Gets what becomes of the sums.</summary>
    public GemvEpilogue Epilogue { get; init; }

    /// <summary>Says why the product cannot be computed by these kernels, or <see langword="null"/> if it can.</summary>
    public string? ReasonToRefuse()
    {
        CudaWeight first = Weights[0];
        return Weights.Select(weight => weight.ReasonToRefuse(Input.dtype)).FirstOrDefault(reason => reason is not null) ?? this switch
        {
            _ when Weights.Any(weight => Kind(weight) != Kind(first)) => "weights of different formats side by side",
            _ when Weights.Any(weight => weight.InFeatures != Input.size(1)) => $"activations of {Input.size(1)} features",
            _ when Epilogue == GemvEpilogue.Gate && first.OutFeatures != Weights[1].OutFeatures => "gate and value of different widths",
            _ when GemvRoundings.Of(Activation, Input.dtype, Input.size(0)) is null => $"rounds activations ({Activation})",
            _ when Gain is not null && Gain.dtype != Input.dtype => $"a gain in {Gain.dtype}",
            _ when Biases?.Any(bias => bias is not null && bias.dtype != Input.dtype) == true => "a bias of another type",
            _ => null,
        };
    }

    /// <summary>Tells whether one kernel can compute this product and another.</summary>
    internal bool IsAlike(GemvProduct other)
    {
        (CudaCode code, _, int group, CudaZeroPoint zero, CudaNumber? scale) = Kind(Weights[0]);
        (CudaCode otherCode, _, int otherGroup, CudaZeroPoint otherZero, CudaNumber? otherScale) = Kind(other.Weights[0]);
        return (code, group, zero, scale, Input.dtype, Activation) == (otherCode, otherGroup, otherZero, otherScale, other.Input.dtype, other.Activation);
    }

    // What all weights of a launch must have in common.
    private static (CudaCode, int, int, CudaZeroPoint, CudaNumber?) Kind(CudaWeight weight) =>
        (weight.Code, weight.InFeatures, weight.GroupSize, weight.ZeroKind, weight.ScaleNumber);
}
