using TorchAO.Configuration;
using TorchAO.Tensors;

namespace TorchAO.Formats.BitNet;

/// <summary>Stores linear weights as −1, 0 and 1 times their mean magnitude; activations stay as they are.</summary>
/// <remarks>
/// For models that were trained with such weights (Ma et al. 2024, arXiv:2402.17764); others lose their sense. The weights of
/// torchao's <c>bitnet_training</c>; <see cref="Int8DynamicActivationBitNetWeightConfig"/> rounds activations as well.
/// </remarks>
public sealed record BitNetWeightOnlyConfig : QuantizeConfig;

internal sealed class BitNetWeightOnlyHandler : QuantizeHandler<BitNetWeightOnlyConfig>
{
    public override string ConfigName => "bitnet_weight_only";

    public override string FormatName => BitNetFormat.FormatName;

    protected override string? ReasonToSkip(in WeightFacts weight, BitNetWeightOnlyConfig config) => null;

    protected override long PredictBytes(in WeightFacts weight, BitNetWeightOnlyConfig config) => BitNetTensor.PredictBytes(weight);

    protected override long GroupSize(in WeightFacts weight, BitNetWeightOnlyConfig config) => weight.InFeatures;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, BitNetWeightOnlyConfig config) => new BitNetGrid();
}
