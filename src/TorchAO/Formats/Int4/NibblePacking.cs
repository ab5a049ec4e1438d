using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Cpu;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats.Int4;

/// <summary>Two 4-bit codes in a byte, the even one in the low half; on any device.</summary>
internal static unsafe class NibblePacking
{
    private const long BytesPerWorker = 1 << 15;

    /// <summary>Packs codes; where K is odd, the last byte's high half is 0.</summary>
    /// <param name="codes">Codes from 0 to 15, uint8 <c>[N, K]</c>.</param>
    /// <returns>Bytes <c>[N, ⌈K / 2⌉]</c>. The caller disposes them.</returns>
    public static Tensor Pack(Tensor codes)
    {
        if (codes.device_type != DeviceType.CPU || codes.dtype != ScalarType.Byte || !codes.is_contiguous() || codes.numel() == 0)
        {
            return ByTensors(codes);
        }

        (long n, long k) = (codes.size(0), codes.size(1));
        Tensor packed = empty([n, (k + 1) / 2], dtype: ScalarType.Byte);
        var job = new Job(TensorMemory.Address<byte>(codes), TensorMemory.Address<byte>(packed), k);
        ParallelRows.Run(n, Math.Max(1, BytesPerWorker / k), job);
        GC.KeepAlive(codes); // the job reads it by address
        return packed;
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

    private readonly struct Job(byte* codes, byte* packed, long k) : IRowJob
    {
        // A model is quantized once: there would be no time to notice that this is hot.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long begin, long end)
        {
            for (long row = begin; row < end; row++)
            {
                PackRow(codes + (row * k), packed + (row * ((k + 1) / 2)), k);
            }
        }
    }

    // A word of two codes, the even one in its low byte, has them side by side after a shift by four.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackRow(byte* codes, byte* packed, long k)
    {
        long i = 0;
        for (; i + 128 <= k; i += 128)
        {
            Vector512<ushort> first = Vector512.Load((ushort*)(codes + i)), second = Vector512.Load((ushort*)(codes + i + 64));
            Vector512.Narrow(SideBySide(first), SideBySide(second)).Store(packed + (i / 2));
        }

        for (; i < k; i += 2)
        {
            packed[i / 2] = (byte)(codes[i] | (i + 1 < k ? codes[i + 1] << 4 : 0));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ushort> SideBySide(Vector512<ushort> pairs) =>
        (pairs | (pairs >>> 4)) & Vector512.Create((ushort)0xFF);
}
