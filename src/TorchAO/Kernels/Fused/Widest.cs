using System.Runtime.Intrinsics;

namespace TorchAO.Kernels.Fused;

/// <summary>Which width of vector runs rows of a length.</summary>
internal static class Widest
{
    /// <summary>Gets the most float32 lanes that this processor runs at full speed and a row fills: 16, 8, 4, or 1 for none.</summary>
    public static int Lanes(int length) =>
        Vector512.IsHardwareAccelerated && length >= Vector512<float>.Count ? Vector512<float>.Count
        : Vector256.IsHardwareAccelerated && length >= Vector256<float>.Count ? Vector256<float>.Count
        : Vector128.IsHardwareAccelerated && length >= Vector128<float>.Count ? Vector128<float>.Count
        : 1;
}
