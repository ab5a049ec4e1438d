namespace TorchAO.Numerics.BitPacking;

/// <summary>Where the first of two four-bit codes lies in its byte. torchao uses both.</summary>
public enum NibbleOrder
{
    /// <summary>The first code in bits 0 to 3: int4 weights for integer matrix products.</summary>
    LowFirst,

    /// <summary>The first code in bits 4 to 7: uint4 tensors, NF4, MX fp4, optimizer states.</summary>
    HighFirst,
}
