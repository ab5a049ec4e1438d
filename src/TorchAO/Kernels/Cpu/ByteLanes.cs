using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TorchAO.Kernels.Cpu;

/// <summary>Bytes of packed codes, one in each int32 lane.</summary>
internal static unsafe class ByteLanes
{
    /// <summary>Loads 16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Widen512(byte* bytes)
    {
        var narrow = Vector128.Load(bytes);
        return Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(narrow)
            : Vector512.WidenLower(Vector256.WidenLower(narrow.ToVector256Unsafe()).ToVector512Unsafe()).AsInt32();
    }

    /// <summary>Loads 8 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen256(byte* bytes)
    {
        var narrow = Vector64.Load(bytes).ToVector128Unsafe();
        return Avx2.IsSupported
            ? Avx2.ConvertToVector256Int32(narrow)
            : Vector256.WidenLower(Vector128.WidenLower(narrow).ToVector256Unsafe()).AsInt32();
    }
}
