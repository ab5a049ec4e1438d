using TorchAO.Primitives;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Kernels;

/// <summary>All that a kernel may look at when it says whether it supports a product <c>y = x · Wᵀ + b</c>.</summary>
/// <param name="Device">Where activations and weight are.</param>
/// <param name="ActivationType">The type of the activations and of the result.</param>
/// <param name="Rows">M, the count of activation rows (tokens).</param>
/// <param name="OutFeatures">N, rows of the weight.</param>
/// <param name="InFeatures">K, columns of the weight.</param>
/// <param name="GroupSize">The count of consecutive input features that share one scale; K where a row has one.</param>
/// <param name="Activation">How the activations are rounded; <see langword="null"/> where they stay in floating point.</param>
public readonly record struct LinearProblem(
    DeviceType Device,
    ScalarType ActivationType,
    long Rows,
    long OutFeatures,
    long InFeatures,
    long GroupSize,
    ActivationScheme? Activation = null);
