using TorchAO.Configuration;
using TorchAO.Tensors;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>A handler over its config class: the one place that casts.</summary>
internal abstract class QuantizeHandler<TConfig> : IQuantizeHandler
    where TConfig : QuantizeConfig, new()
{
    public Type ConfigType => typeof(TConfig);

    public QuantizeConfig DefaultConfig => new TConfig();

    public abstract string ConfigName { get; }

    public abstract string FormatName { get; }

    public string? ReasonToSkip(in WeightFacts weight, QuantizeConfig config) => ReasonToSkip(weight, (TConfig)config);

    public long PredictBytes(in WeightFacts weight, QuantizeConfig config) => PredictBytes(weight, (TConfig)config);

    public long GroupSize(in WeightFacts weight, QuantizeConfig config) => GroupSize(weight, (TConfig)config);

    public QuantizedTensor Quantize(Tensor weight, QuantizeConfig config) => Quantize(weight, (TConfig)config);

    protected abstract string? ReasonToSkip(in WeightFacts weight, TConfig config);

    protected abstract long PredictBytes(in WeightFacts weight, TConfig config);

    protected abstract long GroupSize(in WeightFacts weight, TConfig config);

    protected abstract QuantizedTensor Quantize(Tensor weight, TConfig config);
}
