namespace TorchAO.Primitives;

/// <summary>How the range of the values maps onto the range of the codes.</summary>
public enum MappingType
{
    /// <summary>Zero in the middle; one step is <c>amax / ((max − min) / 2)</c>, so the largest positive value clips by up to
    /// half a step (torchao's <c>SYMMETRIC</c>).</summary>
    Symmetric,

    /// <summary>Zero in the middle; one step is the larger of <c>min / qmin</c> and <c>max / qmax</c>, so nothing clips
    /// (torchao's <c>SYMMETRIC_NO_CLIPPING_ERR</c>). Meaningless for unsigned codes.</summary>
    SymmetricNoClippingError,

    /// <summary>The range of the values, widened to hold zero, fills the range of the codes (torchao's
    /// <c>ASYMMETRIC</c>).</summary>
    Asymmetric,
}
