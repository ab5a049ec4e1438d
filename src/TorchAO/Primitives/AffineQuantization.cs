using TorchAO.Primitives.Kernels;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Chooses scales, rounds values to codes and computes values from codes: <c>x ≈ (q − z) · s</c>, block by
/// block.</summary>
/// <remarks>
/// The arithmetic runs in the type of the input and in torchao's order of operations, so codes and scales agree with
/// torchao 0.9 bit for bit on the CPU, bfloat16 and float16 included. Rounding is to nearest, ties to even. Every
/// method works on any device and returns a new tensor.
/// </remarks>
public static partial class AffineQuantization
{
    /// <summary>Chooses the parameters of each block from its smallest and largest value.</summary>
    /// <param name="input">Values of any shape in float32, float16 or bfloat16.</param>
    /// <param name="blockSize">Elements along each dimension that share a scale; see
    /// <see cref="Granularity.BlockSize"/>.
    /// </param>
    /// <param name="scheme">The codes and the mapping.</param>
    /// <returns>Scales and zero points; the shape is the input's with reduced dimensions left out: <c>[N, K / g]</c>
    /// for groups, <c>[N]</c> for rows, a scalar for the tensor. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The scheme contradicts itself, or the blocks do not fit the
    /// shape.</exception>
    public static QParams ChooseQParams(Tensor input, IReadOnlyList<long> blockSize, AffineScheme scheme)
    {
        ArgumentNullException.ThrowIfNull(input);
        Check(scheme);
        CheckValues(input);
        var layout = new BlockLayout(input.shape, blockSize);

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (Tensor min, Tensor max) = layout.IsOnePieceABlock && BlockExtremes.Covers(input)
            ? ExtremesInOnePass(input, layout)
            : Extremes(input, layout);
        return Detach(Choose(min, max, scheme));
    }

    /// <summary>Chooses the parameters from smallest and largest values that were observed elsewhere.</summary>
    /// <param name="min">The smallest value of each block, of any shape.</param>
    /// <param name="max">The largest value of each block, of the same shape and type.</param>
    /// <param name="scheme">The codes and the mapping.</param>
    /// <returns>Scales and zero points in the shape of <paramref name="min"/>. The caller disposes them.</returns>
    /// <exception cref="QuantizationException">The scheme contradicts itself, or the two tensors differ in shape or
    /// type.
    /// </exception>
    public static QParams ChooseQParamsFromRange(Tensor min, Tensor max, AffineScheme scheme)
    {
        ArgumentNullException.ThrowIfNull(min);
        ArgumentNullException.ThrowIfNull(max);
        Check(scheme);
        CheckValues(min);
        if (min.dtype != max.dtype || !min.shape.AsSpan().SequenceEqual(max.shape))
        {
            throw new QuantizationException(
                $"Smallest and largest values differ: got {ScalarTypes.NameOf(min.dtype)} " +
                $"[{string.Join(", ", min.shape)}] and {ScalarTypes.NameOf(max.dtype)} " +
                $"[{string.Join(", ", max.shape)}], expected one type and shape.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return Detach(Choose(min, max, scheme));
    }

    /// <summary>Rounds values to codes: <c>q = clamp(round(x · (1 / s)) + z)</c>.</summary>
    /// <param name="input">Values in float32, float16 or bfloat16.</param>
    /// <param name="blockSize">The blocks that the parameters were chosen for.</param>
    /// <param name="qparams">One scale (and zero point) for each block, in any shape of that many elements.</param>
    /// <param name="scheme">The codes and the domain of the zero point.</param>
    /// <returns>Codes in <see cref="QuantizedType.Storage"/>, in the shape of the input. NaN has no integer code: what
    /// it becomes is undefined. The caller disposes it.</returns>
    /// <remarks>In the floating-point domain <c>q = clamp(round((x − (z − s · mid)) / s))</c>; float8 codes are clamped
    /// and cast instead of rounded.</remarks>
    /// <exception cref="QuantizationException">Types, blocks or parameters do not fit.</exception>
    public static Tensor Quantize(Tensor input, IReadOnlyList<long> blockSize, QParams qparams, AffineScheme scheme)
    {
        ArgumentNullException.ThrowIfNull(input);
        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        CheckValues(input);
        (BlockLayout layout, Tensor scale, Tensor? zero) = Align(input.shape, blockSize, qparams, scheme);
        Tensor codes = (layout.IsOnePieceABlock ? BlockCodes.Quantize(input, scale, zero, scheme) : null)
            ?? ByTensors(input, layout, scale, zero, scheme);
        return codes.MoveToOuterDisposeScope();
    }

    /// <summary>Says whether <see cref="Quantize"/> makes no temporary of the size of a weight, so that there is no reason to give
    /// it a few rows at a time.</summary>
    internal static bool IsInOnePass(Tensor weight, AffineScheme scheme) =>
        BlockExtremes.Covers(weight) && BlockCodes.Covers(scheme.Target);

    /// <summary>Computes the values of codes: <c>x = (q − z) · s</c>.</summary>
    /// <param name="codes">Codes in <see cref="QuantizedType.Storage"/>.</param>
    /// <param name="blockSize">The blocks that the parameters were chosen for.</param>
    /// <param name="qparams">One scale (and zero point) for each block.</param>
    /// <param name="scheme">The codes and the domain of the zero point.</param>
    /// <param name="dtype">The type of the result: float32, float16 or bfloat16. The product is computed in the wider
    /// of it and the type of the scales.</param>
    /// <returns>Values in the shape of the codes. The caller disposes it.</returns>
    /// <remarks>In the floating-point domain <c>x = (q − mid) · s + z</c>.</remarks>
    /// <exception cref="QuantizationException">Types, blocks or parameters do not fit.</exception>
    public static Tensor Dequantize(
        Tensor codes,
        IReadOnlyList<long> blockSize,
        QParams qparams,
        AffineScheme scheme,
        ScalarType dtype = ScalarType.Float32)
    {
        ArgumentNullException.ThrowIfNull(codes);
        ArgumentNullException.ThrowIfNull(scheme);
        if (codes.dtype != scheme.Target.Storage)
        {
            throw new QuantizationException(
                $"Codes of {scheme.Target.Name} got a tensor of {ScalarTypes.NameOf(codes.dtype)}: expected " +
                $"{ScalarTypes.NameOf(scheme.Target.Storage)}. Pass the scheme that quantized them.");
        }

        if (!IsWorkingType(dtype))
        {
            throw new QuantizationException(
                $"Values of type {ScalarTypes.NameOf(dtype)} were asked for: expected F32, F16 or BF16. Cast " +
                "the result.");
        }

        using IDisposable noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return Values(codes, blockSize, qparams, scheme, dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The reference of choosing: smallest and largest values by tensor arithmetic, on any device.</summary>
    internal static (Tensor Min, Tensor Max) Extremes(Tensor input, BlockLayout layout)
    {
        Tensor view = input.reshape(layout.View);
        return layout.Reduced.Length == 0 ? (view, view) : (view.amin(layout.Reduced), view.amax(layout.Reduced));
    }

    /// <summary>The reference of quantizing: codes by tensor arithmetic, on any device; makes its temporaries in the current
    /// scope.</summary>
    internal static Tensor ByTensors(Tensor input, BlockLayout layout, Tensor scale, Tensor? zero, AffineScheme scheme) =>
        ToStorage(
            Unclamped(input, layout, scale, zero, scheme).clamp(scheme.Target.Min, scheme.Target.Max), scheme.Target);

    private static (Tensor Min, Tensor Max) ExtremesInOnePass(Tensor input, BlockLayout layout)
    {
        (Tensor min, Tensor max) = BlockExtremes.Find(input, layout.Blocks);
        return (min.reshape(layout.Parameters), max.reshape(layout.Parameters));
    }

    // A bound such as 32767 is no number of bfloat16: clamping goes to 32768, which wraps around in int16.
    private static Tensor ToStorage(Tensor codes, QuantizedType target) =>
        !target.IsFloat && target.Max * ScalarTypes.Of(codes.dtype).Epsilon >= 2
            ? codes.to_type(ScalarType.Int64).clamp(target.Min, target.Max).to_type(target.Storage)
            : codes.to_type(target.Storage, copy: true);

    /// <summary>Computes codes before they are clamped and cast; makes its temporaries in the current scope.</summary>
    private static Tensor Unclamped(Tensor input, BlockLayout layout, Tensor scale, Tensor? zero, AffineScheme scheme)
    {
        QuantizedType target = scheme.Target;
        Tensor x = input.reshape(layout.View);
        Tensor codes;
        if (target.IsFloat)
        {
            codes = x * scale.reciprocal();
        }
        else if (scheme.Domain == ZeroPointDomain.Float)
        {
            Tensor origin = zero is null ? scale * -target.Middle : zero - (scale * target.Middle);
            codes = ((x - origin) / scale).round();
        }
        else
        {
            codes = (x * scale.reciprocal()).round();
            codes = zero is null ? codes : codes + zero;
        }

        return codes.reshape(input.shape);
    }

    /// <summary>Computes values from codes of any type; makes its temporaries in the current scope.</summary>
    private static Tensor Values(
        Tensor codes, IReadOnlyList<long> blockSize, QParams qparams, AffineScheme scheme, ScalarType dtype)
    {
        (BlockLayout layout, Tensor scale, Tensor? zero) = Align(codes.shape, blockSize, qparams, scheme);
        Tensor q = codes.reshape(layout.View);
        Tensor values;
        if (scheme.Domain == ZeroPointDomain.Float)
        {
            // In place, so that the intermediate results stay in the type of the result, as torchao's do.
            values = (q - scheme.Target.Middle).to_type(dtype).mul_(scale);
            values = zero is null ? values : values.add_(zero);
        }
        else if (scheme.Domain == ZeroPointDomain.Integer)
        {
            Tensor steps = q.to_type(ScalarType.Int32);
            steps = zero is null ? steps : steps - zero.to_type(ScalarType.Int32);
            values = steps.to_type(dtype) * scale;
        }
        else
        {
            values = q.to_type(dtype) * scale;
        }

        return values.to_type(dtype).reshape(codes.shape);
    }

    private static QParams Choose(Tensor min, Tensor max, AffineScheme scheme)
    {
        ScalarType dtype = min.dtype;
        double eps = scheme.Epsilon ?? ScalarTypes.Of(dtype).Epsilon;
        QuantizedType target = scheme.Target;
        Tensor low = scheme.PreserveZero ? minimum(min, zeros_like(min)) : min;
        Tensor high = scheme.PreserveZero ? maximum(max, zeros_like(max)) : max;
        Tensor scale = (scheme.Mapping switch
        {
            MappingType.Symmetric => maximum(-low, high) / ((target.Max - target.Min) / 2),
            MappingType.SymmetricNoClippingError => NoClippingScale(low, high, target),
            _ => (high - low) / (target.Max - target.Min),
        }).clamp(min: eps);
        Tensor? zero = scheme.Domain == ZeroPointDomain.None ? null
            : scheme.Mapping != MappingType.Asymmetric ? full_like(scale, Math.Truncate(target.Middle))
            : scheme.PreserveZero ? (-(low / scale).round() + target.Min).clamp(target.Min, target.Max)
            : low + (scale * target.Middle);
        return new QParams(
            scale.to_type(scheme.ScaleType ?? dtype, copy: true),
            zero?.to_type(scheme.ZeroPointType ?? dtype, copy: true));
    }

    private static Tensor NoClippingScale(Tensor low, Tensor high, QuantizedType target)
    {
        Tensor fromLow = low / target.Min;
        Tensor fromHigh = high / target.Max;
        return where(fromLow > fromHigh, fromLow, fromHigh);
    }

    private static QParams Detach(QParams qparams)
    {
        qparams.Scale.MoveToOuterDisposeScope();
        qparams.ZeroPoint?.MoveToOuterDisposeScope();
        return qparams;
    }

    private static (BlockLayout Layout, Tensor Scale, Tensor? Zero) Align(
        long[] shape, IReadOnlyList<long> blockSize, QParams qparams, AffineScheme scheme)
    {
        ArgumentNullException.ThrowIfNull(qparams);
        Check(scheme, choosing: false);
        var layout = new BlockLayout(shape, blockSize);
        Tensor? zero = qparams.ZeroPoint is Tensor given && given.numel() > 0 ? given : null;
        if (scheme.Domain == ZeroPointDomain.None && zero is not null)
        {
            throw new QuantizationException(
                "A zero point was given although the domain is None: expected scales alone. Pass a QParams without " +
                "zero point or choose ZeroPointDomain.Integer.");
        }

        Tensor scale = Fit(qparams.Scale, "scales", layout, shape);
        return (layout, scale, zero is null ? null : Fit(zero, "zero points", layout, shape));
    }

    private static Tensor Fit(Tensor parameters, string what, BlockLayout layout, long[] shape) =>
        parameters.numel() == layout.Blocks
            ? parameters.reshape(layout.Kept)
            : throw new QuantizationException(
                $"Blocks [{string.Join(", ", layout.BlockSize)}] of a tensor of shape [{string.Join(", ", shape)}] " +
                $"got {parameters.numel()} {what}: expected {layout.Blocks}. Choose them with the same block size.");

    private static bool IsWorkingType(ScalarType dtype) =>
        dtype is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16;

    private static void CheckValues(Tensor values)
    {
        if (!IsWorkingType(values.dtype))
        {
            throw new QuantizationException(
                $"Values to quantize are {ScalarTypes.NameOf(values.dtype)} [{string.Join(", ", values.shape)}]: " +
                "expected F32, F16 or BF16. Cast them first.");
        }
    }

    private static void Check(AffineScheme scheme, bool choosing = true)
    {
        ArgumentNullException.ThrowIfNull(scheme);
        ArgumentNullException.ThrowIfNull(scheme.Target, nameof(scheme));
        string? problem = (scheme.Mapping, scheme.Domain) switch
        {
            _ when !Enum.IsDefined(scheme.Mapping) => "the mapping is no member of MappingType",
            _ when !Enum.IsDefined(scheme.Domain) =>
                "the domain is no member of ZeroPointDomain; use None where there is no zero point",
            _ when !choosing => null,
            (not MappingType.Symmetric, _) when scheme.Target.IsFloat =>
                "floating-point codes want the symmetric mapping",
            (not MappingType.Asymmetric, ZeroPointDomain.Float) =>
                "a symmetric mapping wants an integer zero point or none",
            (not MappingType.Asymmetric, _) when !scheme.PreserveZero => "a symmetric mapping always preserves zero",
            (_, ZeroPointDomain.Integer) when !scheme.PreserveZero =>
                "without preserving zero the zero point wants the floating-point domain",
            _ => null,
        };
        if (problem is not null)
        {
            throw new QuantizationException(
                $"An affine scheme contradicts itself: {problem}. Got {scheme.Mapping} mapping to " +
                $"{scheme.Target.Name}, domain {scheme.Domain}, PreserveZero {scheme.PreserveZero}.");
        }
    }
}
