using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Primitives;

/// <summary>Quantizes activations to int8 token by token while the model runs.</summary>
public static class TokenQuantization
{
    private const double SmallestScale = 1e-5;

    /// <summary>Gets the symmetric scheme: −127…127, scales of at least 10⁻⁵.</summary>
    /// <param name="dtype">The type of the activations; scales of float16 activations are float32.</param>
    public static AffineScheme Symmetric(ScalarType dtype) => new(QuantizedType.Int8.Within(-127, 127))
    {
        Epsilon = SmallestScale,
        ScaleType = dtype == ScalarType.Float16 ? ScalarType.Float32 : dtype,
        Domain = ZeroPointDomain.None,
    };

    /// <summary>Quantizes each token symmetrically: <c>s = amax / 127</c>.</summary>
    /// <param name="input">Activations <c>[…, K]</c>.</param>
    /// <returns>int8 codes <c>[…, K]</c> and scales <c>[…]</c>. The caller disposes both.</returns>
    /// <remarks>torchao's <c>quantize_activation_per_token_absmax</c>.</remarks>
    public static (Tensor Codes, Tensor Scale) Quantize(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        AffineScheme scheme = Symmetric(input.dtype);
        long[] block = new PerToken().BlockSize(input.shape);
        QParams qparams = AffineQuantization.ChooseQParams(input, block, scheme);
        return (AffineQuantization.Quantize(input, block, qparams, scheme), qparams.Scale);
    }

    /// <summary>Rounds each token to an asymmetric int8 grid and back.</summary>
    /// <param name="input">Activations <c>[…, K]</c>.</param>
    /// <returns>Values in shape and type of the input, with a straight-through gradient. The caller disposes it.</returns>
    /// <remarks>torchao's <c>per_token_dynamic_quant</c>.</remarks>
    public static Tensor FakeQuantizeAsymmetric(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var scheme = new AffineScheme(QuantizedType.Int8)
        {
            Mapping = MappingType.Asymmetric,
            ScaleType = ScalarType.Float32,
            ZeroPointType = ScalarType.Float32,
        };
        long[] block = new PerToken().BlockSize(input.shape);
        using QParams qparams = AffineQuantization.ChooseQParams(input, block, scheme);
        return AffineQuantization.FakeQuantize(input, block, qparams, scheme);
    }

    /// <summary>Multiplies activations, quantized here, by an int8 weight: <c>y = s_x · s_w · Σ q_x q_w + b</c>.</summary>
    /// <param name="input">Activations <c>[…, K]</c>.</param>
    /// <param name="weight">int8 codes <c>[N, K]</c>.</param>
    /// <param name="weightScale">Scales <c>[N]</c>.</param>
    /// <param name="bias">A bias <c>[N]</c>, or <see langword="null"/>.</param>
    /// <returns><c>[…, N]</c> in the type of the input. The caller disposes it.</returns>
    /// <remarks>torchao's <c>quant_int8_dynamic_per_token_linear</c>, with the weight not transposed.</remarks>
    public static Tensor Linear(Tensor input, Tensor weight, Tensor weightScale, Tensor? bias = null)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(weightScale);
        using DisposeScope scope = NewDisposeScope();
        (Tensor codes, Tensor scale) = Quantize(input);
        Tensor products = IntegerProduct.MultiplyScaled(
            codes.reshape(-1, input.shape[^1]), weight.t(), scale.reshape(-1, 1));
        Tensor y = (products * weightScale).to_type(input.dtype).reshape([.. input.shape[..^1], weight.shape[0]]);
        return (bias is null ? y : y + bias).MoveToOuterDisposeScope();
    }
}
