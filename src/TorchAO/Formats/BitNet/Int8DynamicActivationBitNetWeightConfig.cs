using TorchAO.Configuration;
using TorchAO.Primitives;
using TorchAO.Tensors;

namespace TorchAO.Formats.BitNet;

/// <summary>Stores linear weights as −1, 0 and 1 times their mean magnitude, and rounds activations to int8, one scale a token.</summary>
/// <remarks>How BitNet b1.58 is trained and run (Ma et al. 2024, arXiv:2402.17764): the product of torchao's
/// <c>BitNetPacked2bitLinearWeight</c>, whose integers are multiplied exactly there and in float32 here.</remarks>
public sealed record Int8DynamicActivationBitNetWeightConfig : QuantizeConfig;

internal sealed class Int8DynamicActivationBitNetWeightHandler : QuantizeHandler<Int8DynamicActivationBitNetWeightConfig>
{
    public override string ConfigName => "int8_dynamic_activation_bitnet_weight";

    public override string FormatName => BitNetFormat.FormatName;

    protected override ActivationScheme? Activation(Int8DynamicActivationBitNetWeightConfig config) => ActivationScheme.Int8PerToken;

    protected override string? ReasonToSkip(in WeightFacts weight, Int8DynamicActivationBitNetWeightConfig config) => null;

    protected override long PredictBytes(in WeightFacts weight, Int8DynamicActivationBitNetWeightConfig config) =>
        BitNetTensor.PredictBytes(weight);

    protected override long GroupSize(in WeightFacts weight, Int8DynamicActivationBitNetWeightConfig config) => weight.InFeatures;

    protected override IQuantizationGrid CreateGrid(in WeightFacts weight, Int8DynamicActivationBitNetWeightConfig config) =>
        new BitNetGrid();
}
