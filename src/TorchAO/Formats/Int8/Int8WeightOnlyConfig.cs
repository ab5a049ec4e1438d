using TorchAO.Configuration;
using TorchAO.Tensors;

namespace TorchAO.Formats.Int8;

/// <summary>Stores linear weights as symmetric int8; activations stay in floating point.</summary>
/// <remarks>The counterpart of torchao's <c>Int8WeightOnlyConfig</c>; halves the bytes of a bfloat16 weight.</remarks>
public sealed record Int8WeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the count of consecutive input features that share one scale.</summary>
    /// <value>A divisor of <c>in_features</c>; <see langword="null"/> (the default) or -1 gives each row one scale. A weight
    /// whose rows it does not divide is left alone, with that reason in the report.</value>
    public long? GroupSize { get; init; }

    /// <summary>Gets whether codes run from -127 to 127, so that a step is 1/127 of the largest magnitude.</summary>
    /// <value>Off by default: 2/255 of it, as in torchao.</value>
    public bool NarrowRange { get; init; }
}

internal sealed class Int8WeightOnlyHandler : QuantizeHandler<Int8WeightOnlyConfig>
{
    public override string ConfigName => "int8_weight_only";

    public override string FormatName => Int8Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, Int8WeightOnlyConfig config) =>
        GroupSizes.ReasonToSkip(config.GroupSize, weight);

    protected override long PredictBytes(in WeightFacts weight, Int8WeightOnlyConfig config) =>
        weight.OutFeatures * (weight.InFeatures + (weight.InFeatures / GroupSize(weight, config) * weight.ElementBytes));

    protected override long GroupSize(in WeightFacts weight, Int8WeightOnlyConfig config) =>
        GroupSizes.Resolve(config.GroupSize, weight.InFeatures);

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int8WeightOnlyConfig config) =>
        new Int8Grid(GroupSize(weight, config), config.NarrowRange);
}
