namespace TorchAO.Kernels.Cuda.Quantize;

/// <summary>How a scale follows from its group; the values of <c>CHOICE_*</c> in <c>quantize_scales.cuh</c>.</summary>
internal enum ScaleChoice
{
    /// <summary>The largest magnitude stands for half the range of codes.</summary>
    Symmetric = 1,

    /// <summary>Neither end is cut off: the larger of two steps.</summary>
    NoClipping = 2,

    /// <summary>From the least to the largest value.</summary>
    Asymmetric = 3,

    /// <summary>The largest magnitude stands for the largest small float.</summary>
    SmallFloat = 4,

    /// <summary>The largest magnitude itself.</summary>
    Magnitude = 5,

    /// <summary>A power of two, as a byte.</summary>
    Exponent = 6,

    /// <summary>None: one scale for all is given.</summary>
    Given = 7,
}
