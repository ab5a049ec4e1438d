using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchAO.Primitives.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Codes of small floats in one pass: <c>x / s</c>, rounded to the nearest, ties to the even code.</summary>
/// <remarks>The bits of <see cref="FloatxQuantization.Encode"/>, which compares with thresholds: here a float32 is rounded where the
/// fraction of the small float ends.</remarks>
internal static class SmallFloatCodes
{
    private const int Float32Bias = 127;
    private const int Float32MantissaBits = 23;

    /// <summary>Computes them.</summary>
    /// <param name="input">Values that <see cref="BlockExtremes.Covers"/> affirms, in blocks of one piece of memory each.</param>
    /// <param name="divisor">Divisors, float32, one a block.</param>
    /// <param name="type">The type of the codes.</param>
    /// <param name="largest">What quotients are clamped to on both sides; what is beyond the type's largest value saturates.</param>
    /// <returns>Codes in the shape of the input, uint8; NaN has that of the largest value. The caller disposes them.</returns>
    public static Tensor Compute(Tensor input, Tensor divisor, FloatxType type, float largest = float.PositiveInfinity)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor codes = empty(input.shape, dtype: ScalarType.Byte);
        Tensor factors = divisor.contiguous();
        var pass = new CodePass(input, codes, factors, null)
        {
            Max = largest,
            ExponentBits = type.ExponentBits,
            MantissaBits = type.MantissaBits,
        };
        pass.Run<Rounded>();
        GC.KeepAlive(input); // the pass works on addresses
        return codes.MoveToOuterDisposeScope();
    }

    private readonly struct Rounded : ICodeRule
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<int> Codes(Vector512<float> x, Vector512<float> factor, Vector512<float> offset, in CodePass pass)
        {
            int bias = (1 << (pass.ExponentBits - 1)) - 1, shift = Float32MantissaBits - pass.MantissaBits;
            int signBit = pass.ExponentBits + pass.MantissaBits;
            Vector512<float> scaled = x / factor;
            Vector512<float> magnitude = Vector512.MinNative(Vector512.Create(pass.Max), Vector512.Abs(scaled));

            // With the bias of the small float, so that the last bit is the code's: half a place is added, less one where it is even.
            Vector512<int> bits = magnitude.AsInt32() - Vector512.Create((Float32Bias - bias) << Float32MantissaBits);
            Vector512<int> odd = (bits >>> shift) & Vector512<int>.One;
            Vector512<int> normal = (bits + odd + Vector512.Create((1 << (shift - 1)) - 1)) >>> shift;

            // Below the smallest normal number codes are multiples of the smallest number.
            Vector512<float> multiple = magnitude * Vector512.Create(PowerOfTwo(bias - 1 + pass.MantissaBits));
            Vector512<int> subnormal = Vector512.ConvertToInt32Native(Vector512.Round(multiple));
            Vector512<float> isSubnormal = Vector512.LessThan(magnitude, Vector512.Create(PowerOfTwo(1 - bias)));
            Vector512<int> codes = Vector512.ConditionalSelect(isSubnormal.AsInt32(), subnormal, normal);
            return Vector512.Min(codes, Vector512.Create((1 << signBit) - 1)) | ((scaled.AsInt32() >>> 31) << signBit);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float PowerOfTwo(int exponent) => BitConverter.Int32BitsToSingle((exponent + Float32Bias) << Float32MantissaBits);
}
