using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Numerics;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>Rows of float8 e4m3fn codes under one scale: <c>x[i] ≈ value(q[i]) · s</c>.</summary>
internal sealed unsafe class StoredFloat8Rows : StoredRows
{
    private const float Largest = 448;
    private const float SmallestScale = 1.1920928955078125e-7f; // float32's epsilon, in every type

    private readonly (Tensor Codes, Tensor Scale) components; // keep the addresses valid
    private readonly byte* codes;
    private readonly float* scales;

    public StoredFloat8Rows(Tensor codes, Tensor scale, ScalarType type)
        : base(codes, type, checked((int)codes.size(-1)))
    {
        if (codes.dtype != ScalarTypes.Float8E4M3)
        {
            throw new ArgumentException($"codes are {TensorMemory.Describe(codes)}, expected float8 e4m3fn.", nameof(codes));
        }

        RequireLike(scale, codes, 1, nameof(scale));
        components = (codes, scale);
        this.codes = TensorMemory.Address<byte>(codes);
        scales = TensorMemory.Address<float>(scale);
    }

    /// <summary>The reference for one row: the definition, in order.</summary>
    internal static void Scalar(byte* codes, float scale, float* row, int length, int first = 0)
    {
        for (int i = first; i < length; i++)
        {
            row[i] = FloatCodec<Float8E4M3>.Decode(codes[i]) * scale;
        }
    }

    internal static void Wide128(byte* codes, float scale, float* row, int length) =>
        Wide<Lanes128, Vector128<float>>(codes, scale, row, length);

    internal static void Wide256(byte* codes, float scale, float* row, int length) =>
        Wide<Lanes256, Vector256<float>>(codes, scale, row, length);

    internal static void Wide512(byte* codes, float scale, float* row, int length) =>
        Wide<Lanes512, Vector512<float>>(codes, scale, row, length);

    // The scale is chosen in the model's type and kept in float32; the product with it is float32.
    private protected override void Store(long index, float* row)
    {
        float greatest = RowRange.Greatest(row, Size, this);
        float scale = MathF.Max(Round(greatest / Largest), Round(SmallestScale));
        scales[index] = scale;
        float inverse = 1 / scale;
        for (int i = 0; i < Size; i++)
        {
            codes[(index * Size) + i] = FloatCodec<Float8E4M3>.EncodeSaturating(Round(row[i]) * inverse);
        }

        GC.KeepAlive(components);
    }

    private protected override float* Read(long index, int count, float* scratch)
    {
        int lanes = Widest.Lanes(Size);
        for (int i = 0; i < count; i++)
        {
            byte* from = codes + ((index + i) * Size);
            float* to = scratch + ((long)i * Size);
            float scale = scales[index + i];
            switch (lanes)
            {
                case 16:
                    Wide512(from, scale, to, Size);
                    break;
                case 8:
                    Wide256(from, scale, to, Size);
                    break;
                case 4:
                    Wide128(from, scale, to, Size);
                    break;
                default:
                    Scalar(from, scale, to, Size);
                    break;
            }
        }

        return scratch;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Wide<TLanes, TVector>(byte* codes, float scale, float* row, int length)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector scales = TLanes.Broadcast(scale);
        int i = 0;
        for (; i <= length - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Multiply(TLanes.FromFloat8(codes + i), scales), row + i);
        }

        Scalar(codes, scale, row, length, i);
    }
}
