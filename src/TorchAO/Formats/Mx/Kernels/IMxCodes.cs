using System.Runtime.Intrinsics;

namespace TorchAO.Formats.Mx.Kernels;

/// <summary>How 32 packed codes become floats: one implementation a width, so that the loop has no branch.</summary>
/// <remarks>Vectors come in the order in which <see cref="IsSplit"/> says that activations lie.</remarks>
internal unsafe interface IMxCodes
{
    /// <summary>Gets the bits of a code.</summary>
    static abstract int Bits { get; }

    /// <summary>Gets whether the sixteen even codes of 32 come first and the odd ones behind them.</summary>
    static virtual bool IsSplit => false;

    /// <summary>Decodes 32 codes into two vectors; reads no byte beyond them.</summary>
    static abstract void Load512(byte* codes, out Vector512<float> first, out Vector512<float> second);

    /// <summary>Decodes 16 codes into two vectors: the first half of 32, or the second; reads no byte beyond the 32.</summary>
    /// <param name="codes">The first byte of the 32 codes.</param>
    /// <param name="half">0 or 1. Of split codes a half is the first or the last eight even ones, and the odd ones beside them.</param>
    /// <param name="first">Codes 0 to 7 of the half, or its even ones.</param>
    /// <param name="second">Codes 8 to 15 of the half, or its odd ones.</param>
    static abstract void Load256(byte* codes, int half, out Vector256<float> first, out Vector256<float> second);
}
