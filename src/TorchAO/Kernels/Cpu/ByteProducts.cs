using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>Sums of four products of an unsigned and a signed byte in each 32-bit lane, without saturation.</summary>
internal static class ByteProducts
{
    /// <summary>Adds the products of 32 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add(Vector256<int> sum, Vector256<byte> unsigned, Vector256<sbyte> signed)
    {
        if (AvxVnni.IsSupported)
        {
            return AvxVnni.MultiplyWideningAndAdd(sum, unsigned, signed);
        }

        // The 16-bit sums of neighbouring pairs could overflow; of every second byte they are 32 bits wide at once.
        Vector256<short> evenU = (unsigned.AsUInt16() & Vector256.Create((ushort)255)).AsInt16();
        Vector256<short> oddU = (unsigned.AsUInt16() >>> 8).AsInt16();
        Vector256<short> evenS = (signed.AsInt16() << 8) >> 8;
        Vector256<short> oddS = signed.AsInt16() >> 8;
        return sum + AddPairs(evenU, evenS) + AddPairs(oddU, oddS);
    }

    /// <summary>Adds the products of 64 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Add(Vector512<int> sum, Vector512<byte> unsigned, Vector512<sbyte> signed) => Vector512.Create(
        Add(sum.GetLower(), unsigned.GetLower(), signed.GetLower()), Add(sum.GetUpper(), unsigned.GetUpper(), signed.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> AddPairs(Vector256<short> left, Vector256<short> right)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.MultiplyAddAdjacent(left, right);
        }

        Vector256<int> low = ((left.AsInt32() << 16) >> 16) * ((right.AsInt32() << 16) >> 16);
        return low + ((left.AsInt32() >> 16) * (right.AsInt32() >> 16));
    }
}
