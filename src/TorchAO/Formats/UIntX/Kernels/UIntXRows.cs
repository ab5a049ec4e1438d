using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchAO.Kernels.Cpu;
using TorchAO.Kernels.Cpu.FloatPanels;
using TorchAO.Runtime.Memory;

namespace TorchAO.Formats.UIntX.Kernels;

/// <summary>The values of a weight of codes of 1 to 8 bits, a piece of a row at a time.</summary>
/// <remarks>Holds addresses: the tensors must outlive the value.</remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct UIntXRows : IRowDecoder
{
    private readonly byte* packed;
    private readonly FloatRows scales;
    private readonly ZeroPointRows? zeroPoints;
    private readonly int bits;
    private readonly int length;
    private readonly int groupSize;

    /// <summary>Looks at a weight.</summary>
    public UIntXRows(UIntXTensor weight)
    {
        packed = TensorMemory.Address<byte>(weight.QData);
        scales = new FloatRows(weight.Scale);
        zeroPoints = weight.ZeroPoint is { } zeroPoint ? new ZeroPointRows(zeroPoint, UnsignedCodes.Of(weight.Bits).Middle) : null;
        bits = weight.Bits;
        length = checked((int)ShardPacking.PaddedLength(weight.Shape[1]));
        groupSize = checked((int)weight.GroupSize);
    }

    /// <inheritdoc/>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Decode(long row, int begin, int count, float* to)
    {
        Debug.Assert(count <= FloatPanelProduct.PieceLength);
        sbyte* codes = stackalloc sbyte[FloatPanelProduct.PieceLength];
        ShardDecode.Part(packed + (row * (length / 8) * bits), bits, length, begin, count, codes);

        // Groups are a code long at least, and a piece may begin and end within one.
        float* scaleScratch = stackalloc float[FloatPanelProduct.PieceLength];
        float* zeroScratch = stackalloc float[FloatPanelProduct.PieceLength];
        int firstGroup = begin / groupSize, groups = ((begin + count - 1) / groupSize) - firstGroup + 1;
        float* scale = scales.Part(row, firstGroup, groups, scaleScratch);
        bool areCodes = zeroPoints is { AreCodes: true };
        float* zero = zeroPoints is { } points ? points.Part(row, firstGroup, groups, zeroScratch) : null;
        int left = groupSize - (begin % groupSize);
        for (int k = 0; k < count; left = groupSize, scale++)
        {
            int here = Math.Min(left, count - k);
            float zeroOfGroup = zero == null ? 0 : *zero++;
            Write(codes + k, here, *scale, areCodes ? zeroOfGroup : 0, areCodes ? 0 : zeroOfGroup, to + k);
            k += here;
        }
    }

    // What is taken off a code is a small whole number, so that the difference is exact.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write(sbyte* codes, int count, float scale, float zeroCode, float zeroValue, float* to)
    {
        var factor = Vector512.Create(scale);
        var less = Vector512.Create(zeroCode);
        var more = Vector512.Create(zeroValue);
        int k = 0;
        for (; k + Vector512<float>.Count <= count; k += Vector512<float>.Count)
        {
            Vector512<float> code = Vector512.ConvertToSingle(Signed(codes + k)) - less;
            Vector512.FusedMultiplyAdd(code, factor, more).Store(to + k);
        }

        for (; k < count; k++)
        {
            to[k] = MathF.FusedMultiplyAdd(codes[k] - zeroCode, scale, zeroValue);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Signed(sbyte* codes) => (ByteLanes.Widen512((byte*)codes) << 24) >> 24;
}
