using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>How a layer rounds its activations while the model runs; a layer without one keeps them in floating point.</summary>
/// <remarks>
/// Dynamic schemes choose a scale for each token (or tensor) at each call, static ones carry it. A scheme is data: it is part
/// of the problem that a kernel sees, and it is stored with the layer. The numerics are those of torchao's activation functions.
/// </remarks>
public sealed record ActivationScheme
{
    private const double SmallestIntegerScale = 1e-5;
    private const double SmallestFloatScale = 1.1920928955078125e-7; // float32's epsilon, whatever the type of the activations

    private ActivationScheme(QuantizedType target) => Target = target;

    /// <summary>Gets int8 codes −127…127, one scale a token: <c>s = amax / 127</c>.</summary>
    public static ActivationScheme Int8PerToken { get; } = new(QuantizedType.Int8.Within(-127, 127)) { WidensHalfScales = true };

    /// <summary>Gets int8 codes −128…127, one scale and zero point a token, laid over the token's range including 0.</summary>
    public static ActivationScheme Int8PerTokenAsymmetric { get; } =
        new(QuantizedType.Int8) { Mapping = MappingType.Asymmetric };

    /// <summary>Gets int4 codes −8…7, one scale a token: <c>s = amax / 7.5</c>.</summary>
    public static ActivationScheme Int4PerToken { get; } = new(QuantizedType.Int4);

    /// <summary>Gets the codes.</summary>
    public QuantizedType Target { get; }

    /// <summary>Gets how values map to codes.</summary>
    public MappingType Mapping { get; private init; } = MappingType.Symmetric;

    /// <summary>Gets whether all tokens of a call share one scale.</summary>
    public bool IsPerTensor { get; private init; }

    /// <summary>Gets the scale of a static scheme; <see langword="null"/> where each call chooses its own.</summary>
    public float? StaticScale { get; private init; }

    /// <summary>Gets whether scales of float16 activations are float32; they have the type of the activations otherwise.</summary>
    public bool WidensHalfScales { get; init; }

    /// <summary>Gets whether scales are float32 for every type of activations.</summary>
    public bool HasFloat32Scales { get; init; }

    /// <summary>Gets whether a sequence of one token, an input <c>[…, 1, K]</c> of three dimensions or more, stays in floating point.</summary>
    /// <remarks>Decode then runs weight-only. An input <c>[1, K]</c> is a batch of one and is rounded, as in torchao.</remarks>
    public bool IsWeightOnlyInDecode { get; init; }

    /// <summary>Makes a float8 scheme.</summary>
    /// <param name="target"><see cref="QuantizedType.Float8E4M3"/> or <see cref="QuantizedType.Float8E5M2"/>.</param>
    /// <param name="isPerTensor">Whether all tokens of a call share one scale; each has its own otherwise.</param>
    /// <param name="staticScale">A scale measured beforehand, which asks for <paramref name="isPerTensor"/>.</param>
    /// <exception cref="QuantizationException">The type is no float8, the scale is not positive, or it is static and per token.</exception>
    public static ActivationScheme Float8(QuantizedType target, bool isPerTensor, float? staticScale = null)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (!target.IsFloat)
        {
            throw new QuantizationException(
                $"Float8 activations got codes of type {target.Name}: expected float8_e4m3fn or float8_e5m2.");
        }

        if (staticScale is { } scale && !(scale > 0 && float.IsFinite(scale) && isPerTensor))
        {
            throw new QuantizationException(
                $"A static activation scale of {scale} {(isPerTensor ? "per tensor" : "per token")}: expected a positive finite " +
                "number, shared by the whole tensor. Measure it on typical inputs: the largest magnitude by the type's largest value.");
        }

        return new ActivationScheme(target) { IsPerTensor = isPerTensor, StaticScale = staticScale, HasFloat32Scales = true };
    }

    /// <summary>Chooses the scale of a static scheme with these codes.</summary>
    /// <param name="min">The smallest activation that was seen.</param>
    /// <param name="max">The largest activation that was seen.</param>
    /// <returns>What a float32 tensor with this range would choose: the largest magnitude by the largest code.</returns>
    /// <exception cref="QuantizationException">The range is not finite, is upside down or holds zero alone, or the scheme is
    /// not symmetric and per tensor.</exception>
    public float ChooseStaticScale(float min, float max)
    {
        if (!IsPerTensor || Mapping != MappingType.Symmetric)
        {
            throw new QuantizationException(
                $"A static scale was asked of activations in {this}, expected a symmetric scheme with one scale for the whole tensor.");
        }

        if (!float.IsFinite(min) || !float.IsFinite(max) || min > max || (min == 0 && max == 0))
        {
            throw new QuantizationException(
                $"The activations reach from {min} to {max}, expected two finite numbers, the smaller first, that are not both zero. " +
                "Calibrate on inputs that are typical, or skip the layer by a rule.");
        }

        using Tensor low = tensor(min, ScalarType.Float32), high = tensor(max, ScalarType.Float32);
        using QParams chosen = AffineQuantization.ChooseQParamsFromRange(low, high, Arithmetic(ScalarType.Float32));
        return chosen.Scale.item<float>();
    }

    /// <summary>Tells whether an input of a shape is rounded at all.</summary>
    /// <param name="shape">The input's shape <c>[…, K]</c>.</param>
    public bool AppliesTo(IReadOnlyList<long> shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        return !(IsWeightOnlyInDecode && shape.Count >= 3 && shape[^2] == 1);
    }

    /// <summary>Gets the arithmetic for activations of a type.</summary>
    public AffineScheme Arithmetic(ScalarType dtype)
    {
        if (Mapping == MappingType.Asymmetric)
        {
            return new AffineScheme(Target)
            {
                Mapping = Mapping,
                ScaleType = ScalarType.Float64,
                ZeroPointType = ScalarType.Int64,
            };
        }

        bool isWide = HasFloat32Scales || (WidensHalfScales && dtype == ScalarType.Float16);
        return new AffineScheme(Target)
        {
            Domain = ZeroPointDomain.None,
            Epsilon = Target.IsFloat ? SmallestFloatScale : SmallestIntegerScale,
            ScaleType = isWide ? ScalarType.Float32 : dtype,
        };
    }

    /// <summary>Rounds activations to codes.</summary>
    /// <param name="input">Activations <c>[…, K]</c>, float32, float16 or bfloat16.</param>
    /// <returns>Codes <c>[…, K]</c>, and scales (and zero points) <c>[…, 1]</c>, all 1 where they are per tensor. The caller
    /// disposes them.</returns>
    public (Tensor Codes, QParams QParams) Quantize(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using IDisposable noGradient = no_grad();
        AffineScheme arithmetic = Arithmetic(input.dtype);
        long[] block = BlockSize(input.shape);
        QParams qparams = StaticScale is { } scale
            ? new QParams(full([.. input.shape.Select(_ => 1L)], scale, dtype: ScalarType.Float32, device: input.device))
            : ChooseQParams(input, block, arithmetic);
        try
        {
            return (AffineQuantization.Quantize(input, block, qparams, arithmetic), qparams);
        }
        catch
        {
            qparams.Dispose();
            throw;
        }
    }

    /// <summary>Rounds activations and computes the values of the codes: what a layer multiplies by its weight.</summary>
    /// <param name="input">Activations <c>[…, K]</c>, M ≥ 1 tokens.</param>
    /// <returns>Values <c>[…, K]</c> in float32, where products of scale and code are exact enough. The caller disposes them.</returns>
    public Tensor Round(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using Tensor? narrowed = input.dtype == ScalarType.Float64 ? input.to(ScalarType.Float32) : null;
        Tensor source = narrowed ?? input;
        (Tensor codes, QParams qparams) = Quantize(source);
        using (codes)
        using (qparams)
        {
            return AffineQuantization.Dequantize(codes, BlockSize(source.shape), qparams, Arithmetic(source.dtype), ScalarType.Float32);
        }
    }

    /// <summary>Writes the scheme with stable snake-case names, for the checkpoint's JSON.</summary>
    public JsonObject Describe() => new()
    {
        ["type"] = Target.Name,
        ["minimum"] = Target.Min,
        ["maximum"] = Target.Max,
        ["mapping"] = Mapping == MappingType.Asymmetric ? "asymmetric" : "symmetric",
        ["granularity"] = IsPerTensor ? "per_tensor" : "per_token",
        ["static_scale"] = StaticScale,
        ["widens_half_scales"] = WidensHalfScales,
        ["float32_scales"] = HasFloat32Scales,
        ["weight_only_decode"] = IsWeightOnlyInDecode,
    };

    /// <summary>Reads what <see cref="Describe"/> wrote.</summary>
    /// <exception cref="QuantizationException">A field is missing, unknown, of the wrong kind or contradicts another.</exception>
    public static ActivationScheme Read(JsonObject json)
    {
        ArgumentNullException.ThrowIfNull(json);
        string[] known = [.. Int8PerToken.Describe().Select(field => field.Key)];
        if (json.Select(field => field.Key).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
        {
            throw new QuantizationException(
                $"activation scheme: got a field '{unknown}', expected {string.Join(", ", known)}; use a newer version of the library.");
        }

        QuantizedType target = QuantizedType.Named(Field<string>(json, "type"))
            .Within(Field<double>(json, "minimum"), Field<double>(json, "maximum"));
        string mapping = Choice(json, "mapping", "symmetric", "asymmetric");
        string granularity = Choice(json, "granularity", "per_token", "per_tensor");
        float? staticScale = json["static_scale"] is null ? null : Field<float>(json, "static_scale");
        ActivationScheme read = target.IsFloat
            ? Float8(target, granularity == "per_tensor", staticScale)
            : new ActivationScheme(target) { IsPerTensor = granularity == "per_tensor", StaticScale = staticScale };
        return read with
        {
            Mapping = mapping == "asymmetric" ? MappingType.Asymmetric : MappingType.Symmetric,
            WidensHalfScales = Field<bool>(json, "widens_half_scales"),
            HasFloat32Scales = Field<bool>(json, "float32_scales"),
            IsWeightOnlyInDecode = Field<bool>(json, "weight_only_decode"),
        };
    }

    /// <summary>Says in a few words what happens to activations, such as <c>int8 per token, asymmetric</c>.</summary>
    public override string ToString() =>
        $"{Target.Name} {(IsPerTensor ? "per tensor" : "per token")}" +
        (Mapping == MappingType.Asymmetric ? ", asymmetric" : string.Empty) +
        (StaticScale is { } scale ? $", scale {scale:g6}" : string.Empty) +
        (IsWeightOnlyInDecode ? ", weight-only in decode" : string.Empty);

    private static QParams ChooseQParams(Tensor input, long[] block, AffineScheme arithmetic)
    {
        using QParams flat = AffineQuantization.ChooseQParams(input, block, arithmetic);
        long[] shape = [.. input.shape.Select((size, i) => size / block[i])];
        return new QParams(flat.Scale.reshape(shape), flat.ZeroPoint?.reshape(shape));
    }

    private long[] BlockSize(long[] shape) => IsPerTensor ? shape : new PerToken().BlockSize(shape);

    private static T Field<T>(JsonObject json, string name) =>
        json[name] is JsonValue value && value.TryGetValue(out T? result) && result is not null
            ? result
            : throw new QuantizationException(
                $"activation scheme: {name} is {json[name]?.ToJsonString() ?? "missing"}, expected {typeof(T).Name}; " +
                "the file is damaged or was written by other software.");

    private static string Choice(JsonObject json, string name, string first, string second)
    {
        string value = Field<string>(json, name);
        return value == first || value == second ? value : throw new QuantizationException(
            $"activation scheme: {name} is '{value}', expected {first} or {second}; the file is damaged or was written by other software.");
    }
}
