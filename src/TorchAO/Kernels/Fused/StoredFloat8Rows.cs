using TorchAO.Numerics;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>Rows of float8 e4m3fn codes under one scale: <c>x[i] ≈ value(q[i]) · s</c>.</summary>
internal sealed unsafe class StoredFloat8Rows : StoredScaledRows
{
    private const float Largest = 448;
    private const float SmallestScale = 1.1920928955078125e-7f; // float32's epsilon, in every type

    public StoredFloat8Rows(Tensor codes, Tensor scale, ScalarType type)
        : base(codes, scale, type, ScaledRow<Float8Code>.Best(checked((int)codes.size(-1))))
    {
        if (codes.dtype != ScalarTypes.Float8E4M3)
        {
            throw new ArgumentException($"codes are {TensorMemory.Describe(codes)}, expected float8 e4m3fn.", nameof(codes));
        }

        if (Scales.Type != ScalarType.Float32)
        {
            throw new ArgumentException($"scales are {TensorMemory.Describe(scale)}, expected float32.", nameof(scale));
        }
    }

    // The scale is chosen in the model's type and kept in float32; the product with it is float32.
    private protected override void Store(long index, float* row)
    {
        float greatest = RowRange.Greatest(row, Size, this);
        float scale = MathF.Max(Round(greatest / Largest), Round(SmallestScale));
        Scales.Set(index, scale);
        float inverse = 1 / scale;
        for (int i = 0; i < Size; i++)
        {
            Codes[(index * Size) + i] = FloatCodec<Float8E4M3>.EncodeSaturating(Round(row[i]) * inverse);
        }

        GC.KeepAlive(this);
    }
}
