using TorchAO.Numerics;
using TorchAO.Runtime.Libtorch;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda.Quantize;

/// <summary>Values to cast to float8, and the codes of them that the codec has.</summary>
internal static class Float8Casts
{
    public static ScalarType[] Codes => [ScalarTypes.Float8E4M3, ScalarTypes.Float8E5M2];

    /// <summary>Makes values of every size, borders and ties of codes, infinities and NaN of both signs.</summary>
    public static Tensor Values(long count, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(count);
        Tensor x = randn(count) * pow(2, randint(-22, 20, [count]).to(ScalarType.Float32));
        float[] special =
        [
            0, -0f, float.NaN, -float.NaN, float.PositiveInfinity, float.NegativeInfinity, 448, 464, -465, 57344, 61440, -61441, 1.0625f, 1.1875f, -0.0009765625f,
            0.0029296875f, 0.015625f, 0.0146484375f, 1e-40f, 65504,
        ];
        long some = Math.Min(count, special.Length);
        x.narrow(0, count - some, some).copy_(tensor(special).narrow(0, 0, some));
        return x.to_type(type).MoveToOuterDisposeScope();
    }

    public static byte[] Expected(Tensor values, ScalarType code, ulong? seed)
    {
        using Tensor wide = values.to_type(ScalarType.Float32);
        float[] numbers = TensorMemory.ReadOnlySpan<float>(wide).ToArray();
        var bits = new CounterRandom(seed ?? 0);
        return
        [
            .. numbers.Select((x, i) => (code == ScalarTypes.Float8E4M3, seed is null) switch
            {
                _ when float.IsNaN(x) => (byte)0x7F,
                (true, true) => FloatCodec<Float8E4M3>.EncodeSaturating(x),
                (false, true) => FloatCodec<Float8E5M2>.EncodeSaturating(x),
                (true, false) => FloatCodec<Float8E4M3>.EncodeStochastic(x, bits[(ulong)i]),
                _ => FloatCodec<Float8E5M2>.EncodeStochastic(x, bits[(ulong)i]),
            }),
        ];
    }
}
