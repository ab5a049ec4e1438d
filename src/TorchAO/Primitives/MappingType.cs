namespace TorchAO.Primitives;

/// <summary>How a range of floating-point values is laid onto the integers.</summary>
public enum MappingType
{
    /// <summary>The range is made symmetric about zero; the largest magnitude falls between the two ends and may clip.</summary>
    Symmetric,

    /// <summary>Symmetric about zero, with a step so large that neither end clips.</summary>
    SymmetricNoClippingError,

    /// <summary>The range from minimum to maximum is used whole; a zero point says where zero lies.</summary>
    Asymmetric,
}
