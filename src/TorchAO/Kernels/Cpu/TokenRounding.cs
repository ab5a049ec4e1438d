using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Primitives.Kernels;
using static TorchSharp.torch;

namespace TorchAO.Kernels.Cpu;

/// <summary>Rounds a row of activations to integer codes in two passes: the same codes as <see cref="ActivationScheme.Quantize"/>, bit for bit.</summary>
/// <remarks>
/// The scheme's arithmetic runs in the type of the activations: a scale of bfloat16 activations is a bfloat16, and so is the product
/// with its reciprocal, before it is rounded to an integer. That is done here by rounding float32 results, which is what libtorch does.
/// </remarks>
internal readonly unsafe struct TokenRounding
{
    private const uint Infinity = 0x7F800000;

    private readonly bool isBFloat16;
    private readonly bool isHalf;
    private readonly bool isAsymmetric;
    private readonly float divisor;
    private readonly float epsilon;
    private readonly int min;
    private readonly int max;

    private TokenRounding(ActivationScheme scheme, ScalarType type)
    {
        AffineScheme arithmetic = scheme.Arithmetic(type);
        isBFloat16 = type == ScalarType.BFloat16;
        isHalf = type == ScalarType.Float16;
        isAsymmetric = scheme.Mapping == MappingType.Asymmetric;
        min = (int)scheme.Target.Min;
        max = (int)scheme.Target.Max;
        divisor = isAsymmetric ? max - min : (float)((scheme.Target.Max - scheme.Target.Min) / 2);
        epsilon = Narrow((float)(arithmetic.Epsilon ?? (isBFloat16 ? 0.0078125 : isHalf ? 0.0009765625 : 1.1920928955078125e-7)));
    }

    /// <summary>Finds the rounding of a scheme.</summary>
    /// <param name="scheme">The scheme.</param>
    /// <param name="type">The type of the activations.</param>
    /// <returns><see langword="null"/> where the scheme itself has to do it.</returns>
    public static TokenRounding? Of(ActivationScheme scheme, ScalarType type)
    {
        bool isPlain = scheme is { Target.IsFloat: false, Target.Storage: ScalarType.Int8, IsPerTensor: false, StaticScale: null };
        bool roundsToHalf = type == ScalarType.Float16 && scheme.Mapping != MappingType.Asymmetric && !scheme.WidensHalfScales;
        bool isKnown = type is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 && !roundsToHalf;
        return isPlain && isKnown && scheme.Mapping is MappingType.Symmetric or MappingType.Asymmetric
            ? new TokenRounding(scheme, type)
            : null;
    }

    /// <summary>Rounds a row.</summary>
    /// <param name="x">Activations, widened to float32.</param>
    /// <param name="length">K.</param>
    /// <param name="codes">Receives the codes.</param>
    /// <param name="scale">The row's scale.</param>
    /// <param name="zero">The code of value 0.</param>
    /// <returns>Whether all activations are finite; nothing is written otherwise.</returns>
    public bool TryRound(float* x, int length, sbyte* codes, out float scale, out int zero)
    {
        (float low, float high, bool isFinite) = Range(x, length);
        zero = 0;
        scale = 0;
        if (!isFinite)
        {
            return false;
        }

        float range = isAsymmetric ? Narrow(high - low) : Math.Max(-low, high);
        scale = Math.Max(Narrow(range / divisor), epsilon);
        if (isAsymmetric)
        {
            float first = Narrow(-Narrow(MathF.Round(Narrow(low / scale))) + min);
            zero = (int)Math.Clamp(first, min, max);
            RoundWide(x, length, codes, 1 / (double)scale, zero);
        }
        else if (isBFloat16)
        {
            RoundNarrow(x, length, codes, Narrow(1 / scale));
        }
        else
        {
            Round(x, length, codes, 1 / scale);
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static (float Low, float High, bool IsFinite) Range(float* x, int length)
    {
        Vector512<float> low = default, high = default;
        Vector512<uint> largest = default;
        int i = 0;
        for (; i + 16 <= length; i += 16)
        {
            var value = Vector512.Load(x + i);
            low = Vector512.MinNative(low, value);
            high = Vector512.MaxNative(high, value);
            largest = Vector512.Max(largest, value.AsUInt32() & Vector512.Create((uint)int.MaxValue));
        }

        (float least, float most, uint bits) = (0, 0, 0);
        for (int lane = 0; lane < 16; lane++)
        {
            least = Math.Min(least, low[lane]);
            most = Math.Max(most, high[lane]);
            bits = Math.Max(bits, largest[lane]);
        }

        for (; i < length; i++)
        {
            least = Math.Min(least, x[i]);
            most = Math.Max(most, x[i]);
            bits = Math.Max(bits, BitConverter.SingleToUInt32Bits(x[i]) & int.MaxValue);
        }

        return (least, most, bits < Infinity);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Round(float* x, int length, sbyte* codes, float reciprocal)
    {
        int i = 0;
        for (; i + 16 <= length; i += 16)
        {
            Store(Vector512.Load(x + i) * Vector512.Create(reciprocal), codes + i);
        }

        for (; i < length; i++)
        {
            codes[i] = (sbyte)Math.Clamp(MathF.Round(x[i] * reciprocal), min, max);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RoundNarrow(float* x, int length, sbyte* codes, float reciprocal)
    {
        int i = 0;
        for (; i + 16 <= length; i += 16)
        {
            Store(BFloat16Values.Round(Vector512.Load(x + i) * Vector512.Create(reciprocal)), codes + i);
        }

        for (; i < length; i++)
        {
            codes[i] = (sbyte)Math.Clamp(MathF.Round(BFloat16.Round(x[i] * reciprocal)), min, max);
        }
    }

    // The scheme's scales are float64 here, and so is the product.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RoundWide(float* x, int length, sbyte* codes, double reciprocal, int zero)
    {
        int i = 0;
        for (; Avx512F.IsSupported && i + 16 <= length; i += 16)
        {
            Vector256<int> lower = Avx512F.ConvertToVector256Int32(
                Avx512F.ConvertToVector512Double(Vector256.Load(x + i)) * Vector512.Create(reciprocal));
            Vector256<int> upper = Avx512F.ConvertToVector256Int32(
                Avx512F.ConvertToVector512Double(Vector256.Load(x + i + 8)) * Vector512.Create(reciprocal));
            StoreClamped(Vector512.Create(lower, upper) + Vector512.Create(zero), codes + i);
        }

        for (; i < length; i++)
        {
            codes[i] = (sbyte)Math.Clamp(Math.Round(x[i] * reciprocal) + zero, min, max);
        }
    }

    private void Store(Vector512<float> scaled, sbyte* codes)
    {
        // The largest magnitude is the divisor, give or take a rounding: it fits an integer, and is clamped as one.
        StoreClamped(Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(scaled)
            : Vector512.ConvertToInt32(Vector512.Round(scaled)), codes);
    }

    private void StoreClamped(Vector512<int> values, sbyte* codes)
    {
        Vector512<int> clamped = Vector512.Min(Vector512.Max(values, Vector512.Create(min)), Vector512.Create(max));
        FixedPoint.Narrow(clamped).Store(codes);
    }

    private float Narrow(float value) => isBFloat16 ? BFloat16.Round(value) : isHalf ? (float)(Half)value : value;
}
