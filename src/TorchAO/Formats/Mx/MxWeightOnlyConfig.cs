using System.Text.Json.Serialization;
using TorchAO.Configuration;
using TorchAO.Numerics;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Mx;

/// <summary>Stores linear weights as small floats in blocks that share a power of two; activations stay as they are.</summary>
/// <remarks>
/// OCP Microscaling Formats (MX) specification 1.0. The counterpart of torchao 0.9's <c>MXLinearConfig</c> with
/// <c>swap_linear_with_mx_inference_linear</c>, which always rounds scales with <see cref="ScaleRounding.Floor"/>.
/// </remarks>
public sealed record MxWeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the type of the elements.</summary>
    /// <value><see cref="MxElementType.Float8E4M3"/> by default, as in torchao.</value>
    [JsonPropertyName("elem_dtype")]
    public MxElementType ElementType { get; init; } = MxElementType.Float8E4M3;

    /// <summary>Gets the count of consecutive input features that share a scale.</summary>
    /// <value>A divisor of <c>in_features</c>; 32 by default, the only size of the specification. A weight whose rows it does not
    /// divide is left alone, with that reason in the report.</value>
    public long BlockSize { get; init; } = MxQuantization.UsualBlockSize;

    /// <summary>Gets how a scale follows from the largest magnitude of its block.</summary>
    /// <value><see cref="ScaleRounding.Floor"/> by default, as in torchao and the specification: the largest values of a block may
    /// be cut. <see cref="ScaleRounding.RoundUp"/> cuts none.</value>
    public ScaleRounding ScalingMode { get; init; } = ScaleRounding.Floor;
}

internal sealed class MxWeightOnlyHandler : QuantizeHandler<MxWeightOnlyConfig>
{
    public override string ConfigName => "mx_weight_only";

    public override string FormatName => MxFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, MxWeightOnlyConfig config)
    {
        if (!Enum.IsDefined(config.ElementType) || !Enum.IsDefined(config.ScalingMode))
        {
            throw new QuantizationException(
                $"ElementType is {config.ElementType} and ScalingMode {config.ScalingMode}, expected members of " +
                $"{nameof(MxElementType)} and {nameof(ScaleRounding)}.");
        }

        if (config.BlockSize <= 0)
        {
            throw new QuantizationException($"BlockSize is {config.BlockSize}, expected a positive count of input features.");
        }

        return weight.InFeatures % config.BlockSize == 0
            ? null
            : $"in_features {weight.InFeatures} is not a multiple of BlockSize {config.BlockSize}";
    }

    protected override long PredictBytes(in WeightFacts weight, MxWeightOnlyConfig config) => weight.OutFeatures
        * (BitStreamRows.RowBytes(weight.InFeatures, MxElement.Of(config.ElementType).Bits)
            + (weight.InFeatures / config.BlockSize));

    protected override long GroupSize(in WeightFacts weight, MxWeightOnlyConfig config) => config.BlockSize;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, MxWeightOnlyConfig config) =>
        new MxGrid(config.ElementType, config.BlockSize, config.ScalingMode);
}
