using TorchAO.Runtime.Memory;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Fused;

/// <summary>Rows of int8 codes under one scale: <c>x[i] ≈ q[i] · s</c>.</summary>
internal sealed unsafe class StoredInt8Rows : StoredScaledRows
{
    private const float Largest = 127;
    private const float SmallestScale = 1e-5f;

    public StoredInt8Rows(Tensor codes, Tensor scale, ScalarType type)
        : base(codes, scale, type, ScaledRow<Int8Code>.Best(checked((int)codes.size(-1))))
    {
        if (codes.dtype != ScalarType.Int8)
        {
            throw new ArgumentException($"codes are {TensorMemory.Describe(codes)}, expected int8.", nameof(codes));
        }
    }

    // One by one: a token has 2 · KV short rows a layer, beside weights of megabytes.
    private protected override void Store(long index, float* row)
    {
        // A scale of float16 activations is float32, and the product with it too.
        bool isWide = Scales.Type == ScalarType.Float32;
        float greatest = RowRange.Greatest(row, Size, this);
        float scale = Scales.Round(MathF.Max(Round(greatest / Largest), Round(SmallestScale)));
        Scales.Set(index, scale);
        float inverse = Scales.Round(1 / scale);
        sbyte* codes = (sbyte*)Codes + (index * Size);
        for (int i = 0; i < Size; i++)
        {
            float product = Round(row[i]) * inverse;
            product = isWide ? product : Round(product);
            codes[i] = (sbyte)Math.Clamp(MathF.Round(product), -Largest, Largest);
        }

        GC.KeepAlive(this);
    }
}
