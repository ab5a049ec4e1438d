using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Lifecycle;
using static TorchSharp.torch;

namespace TorchAO;

/// <summary>Quantizes models, explains what would be done, and takes it back.</summary>
public static partial class ModelExtensions
{
    /// <summary>Quantizes the linear layers of a model, in place, all with one config.</summary>
    /// <param name="model">Any module; a root that is itself a <c>Linear</c> keeps its object.</param>
    /// <param name="config">What to do, such as <c>new Int8WeightOnlyConfig()</c>.</param>
    /// <param name="options">Filter, device, coverage, progress; the defaults if absent.</param>
    /// <returns>What became of each layer.</returns>
    /// <exception cref="QuantizationException">Nothing would be quantized, or too little; a weight is not finite; a layer is
    /// quantized in another way. The message says what to do, and whether the model was changed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the model is as it was.</exception>
    public static QuantizeReport Quantize(this nn.Module model, QuantizeConfig config, QuantizeOptions? options = null) =>
        model.Quantize(Everything(config), options);

    /// <summary>Quantizes the linear layers of a model, in place, each as the first matching rule says.</summary>
    /// <inheritdoc cref="Quantize(nn.Module, QuantizeConfig, QuantizeOptions?)"/>
    /// <param name="model">Any module.</param>
    /// <param name="rules">The rules in order; one that matches no layer is an error.</param>
    /// <param name="options">Filter, device, coverage, progress; the defaults if absent.</param>
    public static QuantizeReport Quantize(this nn.Module model, ModuleRules rules, QuantizeOptions? options = null)
    {
        Require(model, rules);
        return ModelQuantizer.Quantize(model, rules, BuiltInFormats.Catalog, options ?? new());
    }

    /// <summary>Quantizes a model, in place, as a recipe says: its rules, and its kinds of modules.</summary>
    /// <inheritdoc cref="Quantize(nn.Module, QuantizeConfig, QuantizeOptions?)"/>
    /// <param name="model">Any module.</param>
    /// <param name="recipe">The recipe, such as <c>QuantizeRecipe.Read("recipe.json")</c>.</param>
    /// <param name="options">Filter, device, coverage, progress; <see cref="QuantizeOptions.Modules"/> is the recipe's.</param>
    public static QuantizeReport Quantize(this nn.Module model, QuantizeRecipe recipe, QuantizeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        return model.Quantize(recipe.Rules, (options ?? new()) with { Modules = recipe.Modules });
    }

    /// <summary>Replaces convolutions with a window of one pixel by linear layers, which quantizing then reaches.</summary>
    /// <param name="model">Any module whose places admit <c>Module&lt;Tensor, Tensor&gt;</c>.</param>
    /// <param name="filter">Module name and module; convolutions for which it is false stay. All are taken if absent.</param>
    /// <returns>The names of the layers that were replaced.</returns>
    /// <exception cref="QuantizationException">A place admits no other class; nothing was changed.</exception>
    public static IReadOnlyList<string> SwapPointwiseConvolutions(this nn.Module model, Func<string, nn.Module, bool>? filter = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return LayerPlacement.SwapPointwise(model, filter);
    }

    /// <summary>Says what <see cref="Quantize(nn.Module, QuantizeConfig, QuantizeOptions?)"/> would do; changes nothing.</summary>
    /// <returns>The report that quantizing would give, without measured errors. Low coverage is reported, not thrown.</returns>
    /// <exception cref="QuantizationException">A weight is not finite, or a layer is quantized in another way.</exception>
    public static QuantizeReport Explain(this nn.Module model, QuantizeConfig config, QuantizeOptions? options = null) =>
        model.Explain(Everything(config), options);

    /// <summary>Says what <see cref="Quantize(nn.Module, ModuleRules, QuantizeOptions?)"/> would do; changes nothing.</summary>
    /// <inheritdoc cref="Explain(nn.Module, QuantizeConfig, QuantizeOptions?)"/>
    public static QuantizeReport Explain(this nn.Module model, ModuleRules rules, QuantizeOptions? options = null)
    {
        Require(model, rules);
        return ModelQuantizer.Explain(model, rules, BuiltInFormats.Catalog, options ?? new());
    }

    /// <summary>Says what quantizing by a recipe would do; changes nothing.</summary>
    /// <inheritdoc cref="Explain(nn.Module, QuantizeConfig, QuantizeOptions?)"/>
    public static QuantizeReport Explain(this nn.Module model, QuantizeRecipe recipe, QuantizeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        return model.Explain(recipe.Rules, (options ?? new()) with { Modules = recipe.Modules });
    }

    /// <summary>Gives every quantized layer of a model a floating-point weight back: the values of the codes.</summary>
    /// <returns>The names of the layers that were changed; empty where none was quantized.</returns>
    /// <exception cref="QuantizationException">A place admits no <c>Linear</c>; nothing was changed.</exception>
    public static IReadOnlyList<string> Dequantize(this nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return ModelQuantizer.Dequantize(model);
    }

    /// <summary>Counts the bytes of a model's parameters, buffers and quantized weights; what is shared counts once.</summary>
    public static long CountBytes(this nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return ModelBytes.Of(model);
    }

    private static ModuleRules Everything(QuantizeConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        return ModuleRules.All(config);
    }

    private static void Require(nn.Module model, ModuleRules rules)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(rules);
        if (rules.Count == 0)
        {
            throw new ArgumentException("there is no rule; add at least one, such as [\"*\"] = config.", nameof(rules));
        }
    }
}
