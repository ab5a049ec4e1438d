using TorchAO.Configuration;
using TorchAO.Kernels.Cuda.Quantize;
using TorchAO.Primitives.Kernels;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchAO.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Formats;

/// <summary>A handler over its config class: the one place that casts, and that checks what holds for every format.</summary>
internal abstract class QuantizeHandler<TConfig> : IQuantizeHandler
    where TConfig : QuantizeConfig, new()
{
    public Type ConfigType => typeof(TConfig);

    public virtual QuantizeConfig DefaultConfig => new TConfig();

    public abstract string ConfigName { get; }

    public abstract string FormatName { get; }

    public string? ReasonToSkip(in WeightFacts weight, QuantizeConfig config)
    {
        if (!StoredTensorReader.IsWeightType(weight.DType))
        {
            return $"the weight is {ScalarTypes.NameOf(weight.DType)}, expected F32, BF16 or F16; convert it first, for " +
                "instance with model.to(float32)";
        }

        return weight.OutFeatures > 0 && weight.InFeatures > 0
            ? ReasonToSkip(weight, (TConfig)config)
            : $"the weight [{weight.OutFeatures}, {weight.InFeatures}] is empty";
    }

    public long PredictBytes(in WeightFacts weight, QuantizeConfig config) => PredictBytes(weight, (TConfig)config);

    public long GroupSize(in WeightFacts weight, QuantizeConfig config) => GroupSize(weight, (TConfig)config);

    public ActivationScheme? Activation(QuantizeConfig config) => Activation((TConfig)config);

    public QuantizedTensor Quantize(Tensor weight, QuantizeConfig config)
    {
        if (weight.dim() != 2)
        {
            throw new QuantizationException(
                $"{ConfigName}: the weight has shape [{string.Join(", ", weight.shape)}], expected [out_features, in_features].");
        }

        WeightFacts facts = WeightFacts.Of(weight);
        if (ReasonToSkip(facts, config) is { } reason)
        {
            throw new QuantizationException($"{ConfigName}: {reason}.");
        }

        using IDisposable noGradient = no_grad();
        using Tensor detached = weight.detach();
        IQuantizationGrid grid = CreateGrid(facts, (TConfig)config);
        if (IsChosenByGrid((TConfig)config) && InOnePass(detached, grid) is { } stored)
        {
            return stored;
        }

        RequireFinite(detached);
        (Tensor codes, QParams qparams) = Choose(detached, grid, (TConfig)config);
        using (codes)
        using (qparams)
        {
            return grid.Pack(codes, qparams, weight.dtype);
        }
    }

    protected abstract string? ReasonToSkip(in WeightFacts weight, TConfig config);

    protected abstract long PredictBytes(in WeightFacts weight, TConfig config);

    protected abstract long GroupSize(in WeightFacts weight, TConfig config);

    /// <summary>Gets how activations are rounded, for configs that do.</summary>
    protected virtual ActivationScheme? Activation(TConfig config) => null;

    /// <summary>Makes the grid to which a weight that fits is rounded.</summary>
    protected abstract IQuantizationGrid CreateGrid(in WeightFacts weight, TConfig config);

    /// <summary>Chooses codes and parameters; a config whose algorithm finds both together overrides it.</summary>
    protected virtual (Tensor Codes, QParams QParams) Choose(Tensor weight, IQuantizationGrid grid, TConfig config)
    {
        QParams qparams = grid.ChooseQParams(weight);
        return (grid.Quantize(weight, qparams), qparams);
    }

    /// <summary>Says whether <see cref="Choose"/> is left to the grid; a config whose algorithm chooses says no.</summary>
    protected virtual bool IsChosenByGrid(TConfig config) => true;

    // A weight that is not finite has no pass either: the check that all others begin with names its values.
    private static QuantizedTensor? InOnePass(Tensor weight, IQuantizationGrid grid)
    {
        if (grid is not IOnePassGrid onePass || WeightCoder.ReasonToRefuse(weight) is not null)
        {
            return null;
        }

        using WeightPlan plan = onePass.Plan(weight);
        return WeightCoder.Run(weight, plan) is { } codes ? onePass.Store(codes, weight.shape, weight.dtype) : null;
    }

    private void RequireFinite(Tensor weight)
    {
        if (BlockExtremes.Covers(weight) && BlockExtremes.AreFinite(weight))
        {
            return;
        }

        using Tensor finite = RowBlocks.Compute(weight.size(0), weight.size(1), (start, count) =>
        {
            using Tensor rows = weight.narrow(0, start, count);
            return rows.isfinite();
        });
        using Tensor all = finite.all();
        if (all.item<bool>())
        {
            return;
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor positions = finite.logical_not().nonzero();
        (long row, long column) = (positions[0, 0].item<long>(), positions[0, 1].item<long>());
        float value = weight[row, column].to(ScalarType.Float32).item<float>();
        throw new QuantizationException(
            $"{ConfigName}: the weight [{weight.size(0)}, {weight.size(1)}] has {positions.size(0)} values that are not finite, " +
            $"the first {value} at [{row}, {column}], expected finite numbers; repair the checkpoint or skip the layer.");
    }
}
