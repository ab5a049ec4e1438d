using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.Codebook;

/// <summary>Stores linear weights as indices into a table that is fitted to each weight by k-means; activations stay as they are.</summary>
/// <remarks>torchao 0.9's <c>codebook_weight_only</c>, after AQLM (Egiazarian et al. 2024, arXiv:2401.06118).</remarks>
public sealed record CodebookWeightOnlyConfig : QuantizeConfig
{
    /// <summary>Gets the type of the codes; the table has as many entries as it has values.</summary>
    /// <value>uint1 to uint8; uint4 by default.</value>
    public QuantizedType DType { get; init; } = QuantizedType.Unsigned(4);

    /// <summary>Gets how many consecutive input features a code stands for.</summary>
    /// <value>1 by default: the table holds numbers. torchao's blocks of several rows are left out: rows could not be cut apart.</value>
    public long BlockSize { get; init; } = 1;

    /// <summary>Gets how many consecutive input features share a scale.</summary>
    /// <value>A multiple of <see cref="BlockSize"/>; <see langword="null"/> (the default) for one scale a row.</value>
    public long? ScaleBlockSize { get; init; }
}

internal sealed class CodebookWeightOnlyHandler : QuantizeHandler<CodebookWeightOnlyConfig>
{
    public override string ConfigName => "codebook_weight_only";

    public override string FormatName => CodebookFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, CodebookWeightOnlyConfig config)
    {
        if (config.DType is null || config.DType.IsFloat || config.DType.Min != 0 || BitsOf(config) is < 1 or > 8)
        {
            throw new QuantizationException($"DType is {config.DType?.Name ?? "null"}, expected uint1 to uint8.");
        }

        if (config.BlockSize <= 0 || config.ScaleBlockSize is <= 0 || config.ScaleBlockSize % config.BlockSize is > 0)
        {
            throw new QuantizationException(
                $"BlockSize is {config.BlockSize} and ScaleBlockSize {config.ScaleBlockSize?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "null"}, " +
                "expected a positive count of input features and a multiple of it.");
        }

        long scaleBlock = config.ScaleBlockSize ?? config.BlockSize;
        return weight.InFeatures % scaleBlock == 0
            ? null
            : $"in_features {weight.InFeatures} is not a multiple of {(config.ScaleBlockSize is null ? "BlockSize" : "ScaleBlockSize")} {scaleBlock}";
    }

    protected override long PredictBytes(in WeightFacts weight, CodebookWeightOnlyConfig config) =>
        (weight.OutFeatures * (BitStreamRows.RowBytes(weight.InFeatures / config.BlockSize, BitsOf(config))
            + (weight.InFeatures / GroupSize(weight, config) * sizeof(float))))
        + ((1L << BitsOf(config)) * config.BlockSize * sizeof(float));

    protected override long GroupSize(in WeightFacts weight, CodebookWeightOnlyConfig config) =>
        config.ScaleBlockSize ?? weight.InFeatures;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, CodebookWeightOnlyConfig config) =>
        new CodebookGrid(BitsOf(config), config.BlockSize, GroupSize(weight, config));

    private static int BitsOf(CodebookWeightOnlyConfig config) => (int)Math.Round(Math.Log2(config.DType.Max - config.DType.Min + 1));
}
