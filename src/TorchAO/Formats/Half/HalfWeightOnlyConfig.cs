using TorchAO.Configuration;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats.Half;

/// <summary>Stores linear weights in 16-bit floating point; activations and sums stay as they are.</summary>
/// <remarks>
/// Half the bytes of a float32 model, at 50 dB or more, without converting the model. The counterpart of torchao's
/// <c>AQBFloat16LinearWeight</c> and <c>AQFloat16LinearWeight</c>, which round activations too.
/// </remarks>
public sealed record HalfWeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the type of the stored weights.</summary>
    /// <value><see cref="ScalarType.BFloat16"/> (the default), which has float32's range, or <see cref="ScalarType.Float16"/>, which has
    /// eight times its precision below 65504; larger magnitudes become 65504.</value>
    public ScalarType DType { get; init; } = ScalarType.BFloat16;
}

internal sealed class HalfWeightOnlyHandler : QuantizeHandler<HalfWeightOnlyConfig>
{
    public override string ConfigName => "half_weight_only";

    public override string FormatName => HalfFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, HalfWeightOnlyConfig config) =>
        config.DType is ScalarType.BFloat16 or ScalarType.Float16
            ? null
            : throw new QuantizationException($"DType is {config.DType}, expected BFloat16 or Float16.");

    protected override long PredictBytes(in WeightFacts weight, HalfWeightOnlyConfig config) =>
        weight.OutFeatures * weight.InFeatures * sizeof(ushort);

    protected override long GroupSize(in WeightFacts weight, HalfWeightOnlyConfig config) => weight.InFeatures;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, HalfWeightOnlyConfig config) => new HalfGrid(config.DType);
}
