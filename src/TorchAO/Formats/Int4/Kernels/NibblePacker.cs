using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Primitives.Kernels;

namespace TorchAO.Formats.Int4.Kernels;

/// <summary>Packs a row of codes as <see cref="NibblePacking"/> orders them.</summary>
/// <param name="k">Codes of a row.</param>
internal readonly unsafe struct NibblePacker(long k) : IRowPacker
{
    // A word of two codes, the even one in its low byte, has them side by side after a shift by four.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Pack(byte* codes, byte* packed)
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
