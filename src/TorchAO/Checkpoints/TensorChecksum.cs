using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>CRC-32C (Castagnoli, RFC 3720 appendix B.4) of a tensor's bytes in row-major order.</summary>
/// <remarks>Finds every flipped byte and every damaged run of up to 32 bits; no protection against intent.</remarks>
internal static class TensorChecksum
{
    private const long ChunkBytes = 1 << 28;

    /// <summary>Computes the checksum of a tensor on any device and with any strides.</summary>
    public static uint Of(Tensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = tensor.detach().cpu().contiguous().view(-1);
        long chunk = ChunkBytes / Math.Max(1, flat.element_size());
        uint crc = uint.MaxValue;
        for (long done = 0; done < flat.numel(); done += chunk)
        {
            using Tensor part = flat.narrow(0, done, Math.Min(chunk, flat.numel() - done));
            crc = Append(crc, part.bytes);
        }

        return ~crc;
    }

    /// <summary>Computes the checksum of bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes) => ~Append(uint.MaxValue, bytes);

    private static uint Append(uint crc, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (byte last in bytes[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, last);
        }

        return crc;
    }
}
