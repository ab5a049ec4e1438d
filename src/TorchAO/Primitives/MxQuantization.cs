using TorchAO.Numerics;
using TorchAO.Primitives.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Quantizes blocks of small floats that share a power of two: <c>x ≈ decode(q) · 2^(s − 127)</c>.</summary>
/// <remarks>
/// OCP Microscaling Formats (MX) specification 1.0, sections 5 and 6. torchao's <c>to_mx</c> and <c>to_dtype</c>, bit for bit.
/// Blocks lie along the last dimension and do not cross rows. Scales are e8m0 bytes, codes one a byte in its low bits.
/// </remarks>
public static class MxQuantization
{
    /// <summary>The block size of the specification.</summary>
    public const long UsualBlockSize = 32;

    private const int NaNScale = ExponentE8M0.NaN;

    private const float SmallestNormal = 1.17549435E-38f;

    // 2^-127 to 2^127: the values of scales, and the boundaries between exponents.
    private static readonly double[] Powers = [.. Enumerable.Range(-ExponentE8M0.Bias, 255).Select(e => Math.ScaleB(1, e))];

    private static readonly float[] Factors = [.. Powers.Select(power => (float)power), float.NaN];

    // torchao divides by no subnormal: a block of scale 2^-127 is divided by 2^-126, and comes back halved.
    private static readonly float[] Divisors = [.. Factors.Select(factor => factor < SmallestNormal ? SmallestNormal : factor)];

    /// <summary>Chooses the scale of each block from its largest magnitude.</summary>
    /// <param name="input">Values <c>[…, K]</c>, K a multiple of the block size; float16 and wider are taken as float32.</param>
    /// <param name="element">The type of the codes.</param>
    /// <param name="blockSize">Values that share a scale.</param>
    /// <param name="scaling">How the scale follows from the largest magnitude; <see cref="ScaleRounding.RoundUp"/> is not torchao's.</param>
    /// <returns>Scales <c>[…, K / block]</c>, uint8 with the meaning of e8m0: 0 for a block of zeros, 255 for a block with NaN, 254
    /// for one with infinity. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The block size does not divide K.</exception>
    /// <remarks>
    /// <see cref="ScaleRounding.Floor"/> and <see cref="ScaleRounding.Ceiling"/> take a logarithm in the type of the input, as
    /// torchao does: a bfloat16 maximum next to a power of two may get the scale of its neighbour. The others are exact.
    /// </remarks>
    public static Tensor ChooseScale(
        Tensor input, MxElementType element, long blockSize = UsualBlockSize, ScaleRounding scaling = ScaleRounding.Floor)
    {
        ArgumentNullException.ThrowIfNull(input);
        var type = MxElement.Of(element);
        RequireBlocks(input, blockSize);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        long[] shape = [.. input.shape[..^1], input.shape[^1] / blockSize];
        Tensor largest = BlockExtremes.Covers(input)
            ? Own(BlockExtremes.Magnitudes(input, input.numel() / blockSize)).reshape(shape)
            : Blocks(Own(input), shape[^1]).abs().amax([-1]);
        Tensor exponent = Exponent(largest, type, scaling) + ExponentE8M0.Bias;
        exponent = exponent.clamp(0, 2 * ExponentE8M0.Bias);
        return exponent.masked_fill(largest.isnan(), NaNScale).to_type(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    /// <summary>Rounds <c>x / 2^(s − 127)</c> to the nearest code, ties to even; what is too large saturates.</summary>
    /// <param name="input">Values <c>[…, K]</c>.</param>
    /// <param name="scale">Scales <c>[…, blocks]</c>, where blocks divides K.</param>
    /// <param name="element">The type of the codes.</param>
    /// <returns>Codes in the shape of the input, uint8. In a block whose scale is NaN they are NaN where the type has one, and mean
    /// nothing otherwise. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The scales do not fit the input.</exception>
    public static Tensor Quantize(Tensor input, Tensor scale, MxElementType element)
    {
        ArgumentNullException.ThrowIfNull(input);
        var type = MxElement.Of(element);
        RequireScale(scale, input);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return BlockExtremes.Covers(input)
            ? SmallFloatCodes.Compute(input, LookUp(Divisors, scale), type.Codes, type.Largest).MoveToOuterDisposeScope()
            : ByTensors(input, scale, type).MoveToOuterDisposeScope();
    }

    /// <summary>The reference of <see cref="Quantize"/>: the same by tensor arithmetic, on any device.</summary>
    internal static Tensor ByTensors(Tensor input, Tensor scale, MxElement type)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor scaled = Blocks(input.to_type(ScalarType.Float32), scale.shape[^1]) / LookUp(Divisors, scale).unsqueeze(-1);
        Tensor clamped = scaled.clamp(-type.Largest, type.Largest).reshape(input.shape);
        return FloatxQuantization.Encode(clamped, type.Codes).MoveToOuterDisposeScope();
    }

    /// <summary>Computes <c>decode(q) · 2^(s − 127)</c> in float32 and casts it.</summary>
    /// <param name="codes">Codes <c>[…, K]</c>, uint8.</param>
    /// <param name="scale">Scales <c>[…, blocks]</c>, where blocks divides K; 255 makes a block NaN.</param>
    /// <param name="element">The type of the codes.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <returns>Values in the shape of the codes. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The scales do not fit the codes.</exception>
    public static Tensor Dequantize(
        Tensor codes, Tensor scale, MxElementType element, ScalarType dtype = ScalarType.Float32)
    {
        ArgumentNullException.ThrowIfNull(codes);
        var type = MxElement.Of(element);
        RequireScale(scale, codes);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor values = Blocks(LookUp([.. type.Values], codes), scale.shape[^1]) * LookUp(Factors, scale).unsqueeze(-1);
        return values.reshape(codes.shape).to_type(dtype).MoveToOuterDisposeScope();
    }

    // Beyond the largest scale is infinity, so that it is clamped and not shifted into range.
    private static Tensor Exponent(Tensor largest, MxElement type, ScaleRounding scaling)
    {
        switch (scaling)
        {
            case ScaleRounding.Floor:
                return Logarithm(largest).floor() - type.MaxExponent;
            case ScaleRounding.Ceiling:
                return Logarithm(largest).ceil() - type.MaxExponent;
            case ScaleRounding.Even:
                // Adding half of the last kept fraction bit lifts a magnitude of 2^e · (2 − half) or more to 2^(e + 1).
                double carries = 2 - Math.ScaleB(1, -type.Codes.MantissaBits - 1);
                Tensor rounded = PowersBelow(largest.to_type(ScalarType.Float64) / carries, orEqual: true);
                return rounded.masked_fill(rounded > ExponentE8M0.Bias, double.PositiveInfinity) - type.MaxExponent;
            case ScaleRounding.RoundUp:
                return PowersBelow(largest.to_type(ScalarType.Float64) / type.Largest, orEqual: false);
            default:
                throw new ArgumentOutOfRangeException(nameof(scaling), scaling, "expected a member of ScaleRounding.");
        }
    }

    private static Tensor Logarithm(Tensor largest) =>
        (largest + ((largest == 0).to_type(largest.dtype) * SmallestNormal)).log2();

    // The count of powers below a value is the exponent of the first that is not.
    private static Tensor PowersBelow(Tensor values, bool orEqual)
    {
        Tensor powers = tensor(Powers, device: values.device);
        return bucketize(values, powers, outInt32: true, right: orEqual).to_type(ScalarType.Float64) - ExponentE8M0.Bias;
    }

    private static Tensor Own(Tensor input) =>
        input.dtype == ScalarType.BFloat16 ? input : input.to_type(ScalarType.Float32);

    private static Tensor Blocks(Tensor values, long blocks) =>
        values.reshape([.. values.shape[..^1], blocks, values.shape[^1] / blocks]);

    private static Tensor LookUp(float[] table, Tensor codes)
    {
        Tensor values = tensor(table, device: codes.device);
        return values.index_select(0, codes.to_type(ScalarType.Int64).flatten()).reshape(codes.shape);
    }

    private static void RequireBlocks(Tensor input, long blockSize)
    {
        if (input.dim() == 0 || blockSize <= 0 || input.shape[^1] == 0 || input.shape[^1] % blockSize != 0)
        {
            throw new QuantizationException(
                $"MX blocks of {blockSize} got values of shape [{string.Join(", ", input.shape)}]: expected a last dimension " +
                $"that is a multiple of {blockSize}. Pad it, or choose a block size that divides it.");
        }
    }

    private static void RequireScale(Tensor scale, Tensor values)
    {
        ArgumentNullException.ThrowIfNull(scale);
        bool fits = values.dim() > 0 && scale.dim() == values.dim() && scale.dtype == ScalarType.Byte && scale.shape[^1] > 0
            && values.shape[^1] % scale.shape[^1] == 0 && scale.shape.AsSpan()[..^1].SequenceEqual(values.shape.AsSpan()[..^1]);
        if (!fits)
        {
            throw new QuantizationException(
                $"MX values of shape [{string.Join(", ", values.shape)}] got scales [{string.Join(", ", scale.shape)}] of type " +
                $"{scale.dtype}: expected uint8 (e8m0) scales with the same leading dimensions, and as many in a row as blocks. " +
                "Choose them from the same values.");
        }
    }
}
