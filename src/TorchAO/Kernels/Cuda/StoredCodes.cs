using static TorchSharp.torch;

namespace TorchAO.Kernels.Cuda;

/// <summary>A stored weight as kernels of its device read it: codes, and how they become numbers.</summary>
/// <param name="Codes">The codes, N rows of whole bytes, contiguous.</param>
/// <param name="Layout">Where codes lie in a row.</param>
/// <param name="Bits">Bits of a code, 1 to 8.</param>
/// <param name="Value">What a code stands for.</param>
/// <param name="Scale">Scales <c>[N, K / group]</c>, or <c>[1, 1]</c> for all, contiguous; exponents where their type is uint8.</param>
internal sealed record StoredCodes(Tensor Codes, CodeLayout Layout, int Bits, CodeValue Value, Tensor Scale)
{
    /// <summary>Gets zero points in the shape of the scales: values in floating point, codes in integers; <see langword="null"/> where
    /// there are none.</summary>
    public Tensor? ZeroPoint { get; init; }

    /// <summary>Gets the numbers of all codes, with <see cref="CodeValue.Table"/>.</summary>
    public IReadOnlyList<float> Table { get; init; } = [];

    /// <summary>Gets the entries, float32 <c>[…, entries, length]</c>, with <see cref="CodeValue.Codebook"/>.</summary>
    public Tensor? Codebook { get; init; }

    /// <summary>Gets a tensor that was made for this view and goes with it; <see langword="null"/> where all are the weight's own.</summary>
    public Tensor? Owned { get; init; }

    /// <summary>Gets how many scales lie between those of a row and of the next; 0 where all rows share one.</summary>
    public int ScaleStride => Scale.size(0) == 1 && Codes.size(0) != 1 ? 0 : checked((int)Scale.size(1));

    /// <summary>Gets what zero points are.</summary>
    public CudaZeroPoint ZeroKind => ZeroPoint?.dtype switch
    {
        null => CudaZeroPoint.None,
        ScalarType.Byte => CudaZeroPoint.Byte,
        ScalarType.Int32 => CudaZeroPoint.Int32,
        _ => CudaZeroPoint.Value,
    };
}
