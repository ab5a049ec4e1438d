using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>Carries out one config: decides whether a linear weight fits, and quantizes it.</summary>
/// <remarks>Works on tensors, not on modules, so that quantizing a model in memory and streaming one from disk are the same code.</remarks>
public interface IQuantizeHandler
{
    /// <summary>Gets the config's type.</summary>
    Type ConfigType { get; }

    /// <summary>Gets the config's stable name in files and on the command line: <c>int8_weight_only</c>.</summary>
    string ConfigName { get; }

    /// <summary>Gets a config with all options at their defaults.</summary>
    QuantizeConfig DefaultConfig { get; }

    /// <summary>Gets the catalogue name of the format that <see cref="Quantize"/> makes.</summary>
    string FormatName { get; }

    /// <summary>Says why a weight cannot be quantized with a config, or <see langword="null"/> if it can. Pure.</summary>
    /// <exception cref="QuantizationException">The config itself is wrong, whatever the weight.</exception>
    string? ReasonToSkip(in WeightFacts weight, QuantizeConfig config);

    /// <summary>Predicts the bytes of the quantized weight; exact.</summary>
    long PredictBytes(in WeightFacts weight, QuantizeConfig config);

    /// <summary>Gets how many consecutive input features share one scale.</summary>
    long GroupSize(in WeightFacts weight, QuantizeConfig config);

    /// <summary>Gets how a config rounds activations; <see langword="null"/> where they stay in floating point.</summary>
    /// <exception cref="QuantizationException">The config itself is wrong.</exception>
    ActivationScheme? Activation(QuantizeConfig config) => null;

    /// <summary>Quantizes a weight that fits.</summary>
    /// <param name="weight">The weight <c>[N, K]</c> in float32, float16 or bfloat16, finite; not consumed.</param>
    /// <param name="config">The config.</param>
    /// <returns>The quantized weight on the same device; the same bits for the same weight. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The weight does not fit, or holds NaN or infinity; the message says where.</exception>
    QuantizedTensor Quantize(Tensor weight, QuantizeConfig config);
}
