using System.Text.Json.Nodes;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>What would be done to one layer: its row of the report, and with what.</summary>
internal sealed record LayerPlan(LayerSite Site, LayerReport Report, IQuantizeHandler? Handler, Device? Device);

/// <summary>Decides for every layer of a model before anything is changed, so that errors leave the model as it was.</summary>
internal sealed class QuantizePlan
{
    private readonly ModuleRules rules;
    private readonly FormatCatalog catalog;
    private readonly QuantizeOptions options;
    private readonly bool isStreamed;

    private QuantizePlan(ModuleRules rules, FormatCatalog catalog, QuantizeOptions options, bool isStreamed)
    {
        this.rules = rules;
        this.catalog = catalog;
        this.options = options;
        this.isStreamed = isStreamed;
    }

    /// <summary>Makes the plan.</summary>
    /// <param name="model">The model.</param>
    /// <param name="rules">The rules.</param>
    /// <param name="catalog">The formats.</param>
    /// <param name="options">Filter, device, what is quantized already.</param>
    /// <exception cref="QuantizationException">A rule matches nothing, a config is wrong, a weight is not finite, or a
    /// layer is quantized in another way already.</exception>
    public static IReadOnlyList<LayerPlan> Make(
        nn.Module model, ModuleRules rules, FormatCatalog catalog, QuantizeOptions options) =>
        Make(ModuleWalker.Find(model), new QuantizePlan(rules, catalog, options, isStreamed: false));

    /// <summary>Makes the plan for weights that come from elsewhere, one by one.</summary>
    /// <param name="sites">The model's layers, which are asked for shape and type alone and may be on the meta device.</param>
    /// <param name="rules">The rules.</param>
    /// <param name="catalog">The formats.</param>
    /// <param name="options">Filter, device, what is quantized already.</param>
    /// <exception cref="QuantizationException">A rule matches nothing, or a config is wrong.</exception>
    public static IReadOnlyList<LayerPlan> MakeStreamed(
        IReadOnlyList<LayerSite> sites, ModuleRules rules, FormatCatalog catalog, QuantizeOptions options) =>
        Make(sites, new QuantizePlan(rules, catalog, options, isStreamed: true));

    private static IReadOnlyList<LayerPlan> Make(IReadOnlyList<LayerSite> sites, QuantizePlan plan)
    {
        ModuleKinds kinds = plan.options.Modules;
        if (kinds == ModuleKinds.None || (kinds & ~ModuleKinds.All) != 0)
        {
            throw new QuantizationException(
                $"QuantizeOptions.Modules is {kinds}, expected Linear, Embedding, Convolution or a combination; nothing was changed.");
        }

        LayerSite[] asked = [.. sites.Where(site => kinds.HasFlag(site.Kind))];
        plan.RequireRules(asked);
        plan.RequireUseOfCalibration();
        return [.. asked.Select(plan.Decide)];
    }

    /// <summary>Checks that enough of a model is quantized.</summary>
    public static void RequireCoverage(nn.Module model, QuantizeReport report, QuantizeOptions options)
    {
        if (report.Quantized.Any() && report.Coverage >= options.MinimumCoverage)
        {
            return;
        }

        string seen = report.Layers.Count == 0
            ? "no linear layer was found; only Linear layers in registered modules and fields are seen"
            : report.DescribeUnquantized();
        throw new QuantizationException(
            $"model {model.GetType().Name}: {report.Quantized.Count()} of {report.Layers.Count} {Layers(options)} " +
            $"({100 * report.Coverage:0.#} % of their bytes) would be quantized, expected " +
            (options.MinimumCoverage > 0 ? $"at least {100 * options.MinimumCoverage:0.#} %" : "at least one layer") +
            $". Seen: {seen}. Change the rules{(options.MinimumCoverage > 0 ? ", the config or MinimumCoverage" : " or the config")}; " +
            "nothing was changed.");
    }

    private static string Layers(QuantizeOptions options) => options.Modules == ModuleKinds.Linear ? "linear layers" : "layers";

    private void RequireRules(LayerSite[] sites)
    {
        for (int i = 0; i < rules.Count; i++)
        {
            string pattern = rules[i].Pattern;
            if (pattern == "*")
            {
                continue;
            }

            LayerSite[] matched = [.. sites.Where(site => rules.Matches(i, site.Name))];
            if (matched.Length == 0)
            {
                throw new QuantizationException(
                    $"rule '{pattern}' (number {i + 1}) matches none of the {sites.Length} {Layers(options)}; near: " +
                    $"{NearNames.List(pattern, sites.Select(site => site.Name))}. Correct the pattern or remove the rule; " +
                    "nothing was changed.");
            }

            if (matched.All(site => rules.Find(site.Name) != rules[i]))
            {
                throw new QuantizationException(
                    $"rule '{pattern}' (number {i + 1}) decides for no layer: rule '{rules.Find(matched[0].Name)!.Pattern}' " +
                    "before it takes all that it matches. Put the narrower rule first; nothing was changed.");
            }
        }
    }

    private void RequireUseOfCalibration()
    {
        if (options.Calibration is not null && !rules.Any(rule => NeedsRange(rule.Config)))
        {
            throw new QuantizationException(
                "QuantizeOptions.Calibration is set and no rule's config takes a scale from it, expected one with static activations and no " +
                "scale of its own. Remove the option or change the config; nothing was changed.");
        }
    }

    private static bool NeedsRange(QuantizeConfig? config) => config is IStaticActivationConfig { NeedsRange: true };

    // Without a calibration the config stays as it is, and its handler says what it lacks.
    private QuantizeConfig Calibrated(LayerSite site, QuantizeConfig config) =>
        NeedsRange(config) && options.Calibration is { } calibration
            ? calibration.ConfigFor(site.Name, (IStaticActivationConfig)config)
            : config;

    private LayerPlan Decide(LayerSite site)
    {
        ModuleRule? rule = rules.Find(site.Name);
        if (site.Executor is { } executor)
        {
            return DecideQuantized(site, executor, rule);
        }

        long bytes = site.Layer.parameters().Where(p => !p.IsInvalid && p.dim() >= 2).Sum(p => p.numel() * p.element_size());
        LayerPlan Leave(LayerOutcome outcome, string reason) => new(site, new LayerReport(
            site.Name, site.Layer.GetType().Name, outcome, null, rule?.Config, null, reason, bytes, bytes), null, null);

        if (rule?.Config is not { } config)
        {
            return Leave(LayerOutcome.Excluded, rule is null ? "no rule matches" : $"rule '{rule.Pattern}' says skip");
        }

        if (options.Filter is { } filter && !filter(site.Name, site.Layer))
        {
            return Leave(LayerOutcome.Excluded, "the filter excludes it");
        }

        if (site.Layer is not (Linear or Embedding or Convolution))
        {
            return Leave(LayerOutcome.Skipped, ReasonOfOpaque(site.Layer));
        }

        if (site.Layer is not Linear && options.Calibration is not null && NeedsRange(config))
        {
            return Leave(LayerOutcome.Skipped, "a calibration watches linear layers alone; set the config's scale by rule");
        }

        config = Calibrated(site, config);
        if (ReasonNotToReplace(site, config) is { } obstacle)
        {
            return Leave(LayerOutcome.Skipped, obstacle);
        }

        Tensor weight = site.FloatWeight ?? throw new QuantizationException($"module '{site.Name}': the layer has no weight.");
        if (weight.IsInvalid)
        {
            throw new ObjectDisposedException(site.Name, $"module '{site.Name}': the weight was disposed; quantize a living model.");
        }

        bool isMeta = weight.device_type == DeviceType.META;
        if (isMeta && !isStreamed)
        {
            return Leave(LayerOutcome.Skipped, "the weight is on the meta device and has no values; load it first");
        }

        if (site.Layer is not Convolution && weight.dim() != 2)
        {
            return Leave(
                LayerOutcome.Skipped,
                $"the weight has shape [{string.Join(", ", weight.shape)}], expected [out_features, in_features]; repair the layer");
        }

        if (weight.numel() == 0)
        {
            return Leave(LayerOutcome.Skipped, $"the weight [{string.Join(", ", weight.shape)}] is empty");
        }

        Device device = rule.Device ?? options.Device ?? (isMeta ? CPU : weight.device);
        RequireDevice(site, device);
        IQuantizeHandler handler = catalog.Handler(config);
        if (weight.dtype is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16))
        {
            return Leave(LayerOutcome.Skipped, $"the weight is {weight.dtype}, expected Float32, BFloat16 or Float16; convert it first");
        }

        WeightFacts facts = WeightFacts.Of(weight) with { Device = device.type };
        return ReasonToSkip(site, config, handler, facts) is { } reason
            ? Leave(LayerOutcome.Skipped, reason)
            : DecideFitting(site, config, handler, facts, device);
    }

    // TorchSharp knows neither the count of heads nor the other arguments, so that no module of ours could take the place;
    // nor is there a way to the tensor that the native product reads. torchao leaves these projections in float too.
    private static string ReasonOfOpaque(nn.Module layer) =>
        (layer is MultiheadAttention ? "in_proj and out_proj stay" : "its projections stay") +
        " in floating point: libtorch multiplies by them inside one native call. To quantize them, build the module of " +
        "Linear layers and nn.functional.scaled_dot_product_attention";

    private string? ReasonToSkip(LayerSite site, QuantizeConfig config, IQuantizeHandler handler, in WeightFacts facts)
    {
        try
        {
            return handler.ReasonToSkip(facts, config) is { } reason
                ? reason + GroupAdvice.For(facts, config, handler, catalog)
                : null;
        }
        catch (QuantizationException e)
        {
            throw new QuantizationException($"module '{site.Name}', {ConfigText.Write(catalog, config)}: {e.Message} Nothing was changed.", e);
        }
    }

    private static void RequireDevice(LayerSite site, Device device)
    {
        bool isUsable = device.type switch
        {
            DeviceType.CPU => true,
            DeviceType.CUDA => cuda.is_available() && device.index < cuda.device_count(),
            _ => false,
        };
        if (!isUsable)
        {
            throw new QuantizationException(
                $"module '{site.Name}': the quantized weight is to go to {device}, expected cpu" +
                (cuda.is_available() ? $" or cuda:0 to cuda:{cuda.device_count() - 1}" : "; libtorch sees no CUDA device here") +
                ". Change the device of the rule or of QuantizeOptions; nothing was changed.");
        }
    }

    private LayerPlan DecideFitting(
        LayerSite site, QuantizeConfig config, IQuantizeHandler handler, WeightFacts facts, Device device)
    {
        if (!isStreamed)
        {
            RequireFinite(site);
        }

        if (LayerPlacement.ReasonBiasDoesNotFit(site) is { } reasonOfBias)
        {
            throw new QuantizationException(
                $"module '{site.Name}': {reasonOfBias}. Repair the layer or skip it by a rule; nothing was changed.");
        }

        string? blocked = site.ReasonNotToSwap(site.QuantizedType);
        string?[] reasons =
        [
            blocked is null ? null : $"in place: {blocked}",
            site.TiedTo is null ? null : $"the weight is tied to {site.TiedTo}, which keeps its own",
            site.Aliases.Count == 0 ? null : $"shared with {string.Join(", ", site.Aliases)}",
        ];
        string reason = string.Join("; ", reasons.Where(part => part is not null));
        var problem = new LinearProblem(
            device.type, facts.DType, 1, facts.OutFeatures, facts.InFeatures, handler.GroupSize(facts, config),
            handler.Activation(config));
        return new LayerPlan(
            site,
            new LayerReport(
                site.Name,
                site.Layer.GetType().Name,
                blocked is null ? LayerOutcome.Swapped : LayerOutcome.InPlace,
                handler.FormatName,
                config,
                site.ExplainKernel(problem.Activation, () => catalog.Format(handler.FormatName).Explain(problem).ToString()),
                reason.Length == 0 ? null : reason,
                facts.Bytes,
                handler.PredictBytes(facts, config)),
            handler,
            device);
    }

    // Linear layers have a road in place; the other kinds are replaced or left alone.
    private string? ReasonNotToReplace(LayerSite site, QuantizeConfig config)
    {
        if (site.Layer is Linear)
        {
            return null;
        }

        ActivationScheme? activation = catalog.Handler(config).Activation(config);
        string? reason = site.Layer switch
        {
            Embedding when activation is not null =>
                "the config rounds activations, which an embedding does not have; give embeddings a weight-only config",
            Convolution convolution => ConvolutionGeometry.ReasonUnsupported(convolution)
                ?? QuantizedConvolution.ReasonNotToRound(activation, ConvolutionGeometry.Of(convolution)),
            _ => null,
        };
        return reason ?? (site.ReasonNotToSwap(site.QuantizedType) is { } blocked
            ? $"{blocked}; hold the layer in a place of type Module<Tensor, Tensor>"
            : null);
    }

    private LayerPlan DecideQuantized(LayerSite site, LinearExecutor executor, ModuleRule? rule)
    {
        QuantizedTensor weight = executor.Weight;
        bool isAsked = !options.KeepQuantized && rule?.Config is not null && options.Filter?.Invoke(site.Name, site.Layer) != false;
        if (isAsked && Calibrated(site, rule!.Config!) is { } config && !IsMadeBy(executor, config))
        {
            throw new QuantizationException(
                $"module '{site.Name}' is quantized already as {weight.Format} with group_size {weight.GroupSize} " +
                $"{weight.DescribeParameters().ToJsonString()}{(executor.Activation is { } scheme ? $", activations {scheme}" : "")}, " +
                $"the config asks for {ConfigText.Write(catalog, config)}. Call Dequantize() first, skip the layer by a rule, or set " +
                "QuantizeOptions.KeepQuantized; nothing was changed.");
        }

        long before = weight.Shape[0] * weight.Shape[1] * Runtime.Libtorch.ScalarTypes.Of(weight.DType).Bytes;
        return new LayerPlan(site, new LayerReport(
            site.Name, site.Layer.GetType().Name, LayerOutcome.AlreadyQuantized, weight.Format, rule?.Config,
            site.ExplainKernel(executor), "quantized before this call", before, weight.Bytes), null, null);
    }

    // Two rows through the same handler have the same parameters if the config is the one that made the weight; with one, a scale
    // for each row and one for all could not be told apart.
    private bool IsMadeBy(LinearExecutor executor, QuantizeConfig config)
    {
        QuantizedTensor weight = executor.Weight;
        IQuantizeHandler handler = catalog.Handler(config);
        var facts = new WeightFacts(weight.Shape[0], weight.Shape[1], weight.DType, weight.Device.type);
        if (handler.FormatName != weight.Format || handler.ReasonToSkip(facts, config) is not null
            || handler.GroupSize(facts, config) != weight.GroupSize || handler.Activation(config) != executor.Activation)
        {
            return false;
        }

        using Tensor rows = ones(Math.Min(2, weight.Shape[0]), weight.Shape[1], dtype: weight.DType);
        using QuantizedTensor sample = handler.Quantize(rows, config);
        return JsonNode.DeepEquals(sample.DescribeParameters(), weight.DescribeParameters());
    }

    private static void RequireFinite(LayerSite site)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        Tensor weight = site.FloatWeight!;
        long bad = weight.numel() - weight.isfinite().count_nonzero().item<long>();
        if (bad > 0)
        {
            throw new QuantizationException(
                $"module '{site.Name}': {bad} of the {weight.numel()} weights are not finite, expected numbers. Repair the " +
                "checkpoint or skip the layer by a rule; nothing was changed.");
        }
    }
}
