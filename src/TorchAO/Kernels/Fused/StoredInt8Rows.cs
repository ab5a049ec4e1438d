using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>Rows of int8 codes under one scale: <c>x[i] ≈ q[i] · s</c>.</summary>
internal sealed unsafe class StoredInt8Rows : StoredRows
{
    private const float Largest = 127;
    private const float SmallestScale = 1e-5f;

    private readonly (Tensor Codes, Tensor Scale) components; // keep the addresses valid
    private readonly sbyte* codes;
    private readonly StoredNumbers scales;

    public StoredInt8Rows(Tensor codes, Tensor scale, ScalarType type)
        : base(codes, type, checked((int)codes.size(-1)))
    {
        RequireLike(scale, codes, 1, nameof(scale));
        components = (codes, scale);
        this.codes = TensorMemory.Address<sbyte>(codes);
        scales = new StoredNumbers(scale);
    }

    /// <summary>The reference for one row: the definition, in order.</summary>
    internal static void Scalar(sbyte* codes, float scale, float* row, int length, int first = 0)
    {
        for (int i = first; i < length; i++)
        {
            row[i] = codes[i] * scale;
        }
    }

    internal static void Wide128(sbyte* codes, float scale, float* row, int length) =>
        Wide<Lanes128, Vector128<float>>(codes, scale, row, length);

    internal static void Wide256(sbyte* codes, float scale, float* row, int length) =>
        Wide<Lanes256, Vector256<float>>(codes, scale, row, length);

    internal static void Wide512(sbyte* codes, float scale, float* row, int length) =>
        Wide<Lanes512, Vector512<float>>(codes, scale, row, length);

    // One by one: a token has 2 · KV rows a layer, about a microsecond of a step that takes a millisecond in the layer.
    private protected override void Store(long index, float* row)
    {
        // A scale of float16 activations is float32, and the product with it too.
        bool isWide = scales.Type == ScalarType.Float32;
        float greatest = RowRange.Greatest(row, Size, this);
        float scale = scales.Round(MathF.Max(Round(greatest / Largest), Round(SmallestScale)));
        scales[index] = scale;
        float inverse = scales.Round(1 / scale);
        for (int i = 0; i < Size; i++)
        {
            float product = Round(row[i]) * inverse;
            product = isWide ? product : Round(product);
            codes[(index * Size) + i] = (sbyte)Math.Clamp(MathF.Round(product), -Largest, Largest);
        }

        GC.KeepAlive(components);
    }

    private protected override float* Read(long index, int count, float* scratch)
    {
        int lanes = Widest.Lanes(Size);
        for (int i = 0; i < count; i++)
        {
            sbyte* from = codes + ((index + i) * Size);
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
    private static void Wide<TLanes, TVector>(sbyte* codes, float scale, float* row, int length)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector scales = TLanes.Broadcast(scale);
        int i = 0;
        for (; i <= length - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Multiply(TLanes.FromInt8(codes + i), scales), row + i);
        }

        Scalar(codes, scale, row, length, i);
    }
}
