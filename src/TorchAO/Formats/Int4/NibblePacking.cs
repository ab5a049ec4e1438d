using TorchAO.Formats.Int4.Kernels;
using TorchAO.Primitives.Kernels;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>Two 4-bit codes in a byte, the even one in the low half; on any device.</summary>
internal static class NibblePacking
{
    /// <summary>Packs codes; where K is odd, the last byte's high half is 0.</summary>
    /// <param name="codes">Codes from 0 to 15, uint8 <c>[N, K]</c>.</param>
    /// <returns>Bytes <c>[N, ⌈K / 2⌉]</c>. The caller disposes them.</returns>
    public static Tensor Pack(Tensor codes)
    {
        long k = codes.size(1);
        return RowPacking.Covers(codes) ? RowPacking.Run(codes, (k + 1) / 2, new NibblePacker(k)) : ByTensors(codes);
    }

    /// <summary>The reference: the same by tensor arithmetic, on any device.</summary>
    internal static Tensor ByTensors(Tensor codes)
    {
        long k = codes.size(1);
        return RowBlocks.Compute(codes.size(0), k, (start, count) =>
        {
            using var scope = NewDisposeScope();
            Tensor rows = codes.narrow(0, start, count);
            Tensor padded = k % 2 == 0 ? rows : nn.functional.pad(rows, [0, 1]);
            Tensor pairs = padded.reshape(count, -1, 2);
            return (pairs.select(2, 0) + (pairs.select(2, 1) * 16)).MoveToOuterDisposeScope();
        });
    }

    /// <summary>Unpacks codes.</summary>
    /// <param name="packed">Bytes as <see cref="Pack"/> makes them.</param>
    /// <param name="k">K, the count of codes in a row.</param>
    /// <returns>Codes, uint8 <c>[N, K]</c>. The caller disposes them.</returns>
    public static Tensor Unpack(Tensor packed, long k)
    {
        using var scope = NewDisposeScope();
        Tensor low = packed.bitwise_and(tensor((byte)0xF, device: packed.device));
        Tensor high = packed.bitwise_right_shift(tensor((byte)4, device: packed.device));
        Tensor codes = stack([low, high], dim: 2).view(packed.size(0), -1);
        return (k % 2 == 0 ? codes : codes.narrow(1, 0, k).contiguous()).MoveToOuterDisposeScope();
    }
}
