using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Nf4;

/// <summary>Stores linear weights as 4-bit quantiles of a normal distribution; activations stay as they are.</summary>
/// <remarks>Dettmers et al. 2023, QLoRA (arXiv:2305.14314). torchao 0.9's <c>nf4_weight_only</c> and <c>to_nf4</c>.</remarks>
public sealed record NF4WeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the count of consecutive input features that share a scale.</summary>
    /// <value>An even divisor of <c>in_features</c>; 64 by default. A weight whose rows it does not divide is left alone, with that
    /// reason in the report.</value>
    public long BlockSize { get; init; } = Nf4Quantization.UsualBlockSize;

    /// <summary>Gets the count of scales that share a factor.</summary>
    /// <value>Positive; 256 by default. Blocks of scales run over rows, and the last may be short.</value>
    public long ScalerBlockSize { get; init; } = Nf4Quantization.UsualScalerBlockSize;
}

internal sealed class NF4WeightOnlyHandler : QuantizeHandler<NF4WeightOnlyConfig>
{
    public override string ConfigName => "nf4_weight_only";

    public override string FormatName => Nf4Format.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, NF4WeightOnlyConfig config)
    {
        if (config.BlockSize <= 0 || config.BlockSize % 2 != 0 || config.ScalerBlockSize <= 0)
        {
            throw new QuantizationException(
                $"BlockSize is {config.BlockSize} and ScalerBlockSize {config.ScalerBlockSize}, expected a positive even count of " +
                "input features and a positive count of scales.");
        }

        return weight.InFeatures % config.BlockSize == 0
            ? null
            : $"in_features {weight.InFeatures} is not a multiple of BlockSize {config.BlockSize}";
    }

    protected override long PredictBytes(in WeightFacts weight, NF4WeightOnlyConfig config)
    {
        long blocks = weight.InFeatures / config.BlockSize;
        long factors = blocks / Nf4Grid.UnitOf(blocks, config.ScalerBlockSize);
        return (weight.OutFeatures * ((weight.InFeatures / 2) + blocks + (factors * weight.ElementBytes))) + weight.ElementBytes;
    }

    protected override long GroupSize(in WeightFacts weight, NF4WeightOnlyConfig config) => config.BlockSize;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, NF4WeightOnlyConfig config) =>
        new Nf4Grid(config.BlockSize, config.ScalerBlockSize);
}
