using System.Runtime.InteropServices;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu.Gemv;

/// <summary>A weight of small integers as it is stored, row by row.</summary>
/// <remarks>Holds addresses: the tensors must outlive the value.</remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct GemvWeight
{
    /// <summary>Looks at a weight.</summary>
    /// <param name="bits">Bits of a code: 8, signed, or 4, unsigned.</param>
    /// <param name="offset">What codes are larger by than what scales multiply, once they are unsigned.</param>
    /// <param name="codes">Codes <c>[N, bytes of a row]</c>.</param>
    /// <param name="scale">Scales <c>[N, groups]</c>.</param>
    /// <param name="zeroPoint">Zero points <c>[N, groups]</c>, or <see langword="null"/>.</param>
    public GemvWeight(int bits, int offset, Tensor codes, Tensor scale, Tensor? zeroPoint)
    {
        Bits = bits;
        Offset = offset;
        Codes = (byte*)TensorMemory.Address<byte>(codes);
        RowBytes = codes.size(1);
        Scales = new FloatRows(scale);
        ZeroPoints = zeroPoint is null ? null : new ZeroPointRows(zeroPoint, offset);
    }

    /// <summary>Gets the bits of a code.</summary>
    public int Bits { get; }

    /// <summary>Gets what codes are larger by.</summary>
    public int Offset { get; }

    /// <summary>Gets the address of the first row.</summary>
    public byte* Codes { get; }

    /// <summary>Gets the bytes of a row.</summary>
    public long RowBytes { get; }

    /// <summary>Gets the scales.</summary>
    public FloatRows Scales { get; }

    /// <summary>Gets the zero points.</summary>
    public ZeroPointRows? ZeroPoints { get; }
}
