using TorchAO.Algorithms.AutoQuant;
using TorchAO.Configuration;
using TorchAO.Formats.Codebook;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Floatx;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.Nf4;
using TorchAO.Formats.UIntX;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Primitives.Observers;
using System.Diagnostics;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO;

#pragma warning disable CS8981, IDE1006, CA1707, CA1708 // the names are torchao's own, so that its programs port line by line

/// <summary>torchao's own spelling: <c>torchao.quantize_(model, int8_weight_only())</c>. New programs use <see cref="ModelExtensions"/>.</summary>
public static class torchao
{
    private static readonly HashSet<string> Warned = [];
    private static readonly Lock Gate = new();

    /// <summary>Raised once a process for each deprecated use; the text goes to <see cref="Trace"/> as well.</summary>
    public static event Action<string>? DeprecationWarning;

    /// <summary>Quantizes the linear layers of a model in place; layers that are quantized already stay as they are.</summary>
    /// <param name="model">The model.</param>
    /// <param name="config">What to do.</param>
    /// <param name="filter_fn">Module and name; layers for which it is false are left alone.</param>
    /// <param name="set_inductor_config">Has no effect here; deprecated in torchao too.</param>
    /// <param name="device">Where quantized layers go; where they are, if absent.</param>
    /// <returns>What became of each layer; torchao returns nothing.</returns>
    /// <exception cref="QuantizationException">No layer would be quantized, where torchao says nothing.</exception>
    public static QuantizeReport quantize_(
        nn.Module model,
        QuantizeConfig config,
        Func<nn.Module, string, bool>? filter_fn = null,
        bool? set_inductor_config = null,
        Device? device = null)
    {
        if (set_inductor_config is not null)
        {
            Warn("set_inductor_config has no effect, there is no compiler to configure; remove the argument.");
        }

        return model.Quantize(config, new QuantizeOptions
        {
            Filter = filter_fn is null ? null : (name, module) => filter_fn(module, name),
            Device = device,
            KeepQuantized = true,
        });
    }

    /// <summary>Quantizes with what a function returns, such as the bare name <c>int8_weight_only</c>; warns once.</summary>
    public static QuantizeReport quantize_(
        nn.Module model,
        Func<QuantizeConfig> config,
        Func<nn.Module, string, bool>? filter_fn = null,
        bool? set_inductor_config = null,
        Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        Warn("a callable as the second argument of quantize_ is deprecated; pass a config such as new Int8WeightOnlyConfig().");
        return quantize_(model, config(), filter_fn, set_inductor_config, device);
    }

    /// <summary>Quantizes each layer with what a function returns for it; <see langword="null"/> leaves it alone. Warns once.</summary>
    public static QuantizeReport quantize_(
        nn.Module model,
        Func<Linear, QuantizeConfig?> config,
        Func<nn.Module, string, bool>? filter_fn = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        Warn("a callable as the second argument of quantize_ is deprecated; pass a config or ModuleRules.");
        var rules = new ModuleRules();
        foreach (LayerSite site in ModuleWalker.Find(model))
        {
            bool isTaken = site.Linear is not null && site.Executor is null && filter_fn?.Invoke(site.Layer, site.Name) != false;
            QuantizeConfig? chosen = isTaken ? config(site.Linear!) : null;
            rules.Add($"re:{System.Text.RegularExpressions.Regex.Escape(site.Name)}", chosen ?? ModuleRules.Skip);
        }

        rules.Add("*", ModuleRules.Skip);
        return model.Quantize(rules, new QuantizeOptions { KeepQuantized = true });
    }

    /// <summary>Replaces convolutions with a window of one pixel by linear layers, in place.</summary>
    public static IReadOnlyList<string> swap_conv2d_1x1_to_linear(nn.Module model, Func<nn.Module, string, bool>? filter_fn = null) =>
        model.SwapPointwiseConvolutions(filter_fn is null ? null : (name, module) => filter_fn(module, name));

    /// <summary>Makes rules of a mapping from module names to configs; <c>_default</c> stands for all others, <see langword="null"/>
    /// leaves a module as it is.</summary>
    public static ModuleRules ModuleFqnToConfig(IReadOnlyDictionary<string, QuantizeConfig?> module_fqn_to_config)
    {
        ArgumentNullException.ThrowIfNull(module_fqn_to_config);
        var rules = new ModuleRules();
        foreach ((string name, QuantizeConfig? config) in module_fqn_to_config.OrderBy(entry => entry.Key == "_default"))
        {
            rules.Add(name == "_default" ? "*" : name, config ?? ModuleRules.Skip);
        }

        return rules;
    }

    /// <summary>Gets the candidates of <c>autoquant</c> if none are given.</summary>
    public static IReadOnlyList<QuantizeConfig> DEFAULT_AUTOQUANT_CLASS_LIST => AutoQuantCandidates.Default;

    /// <summary>Gets int8 and int4 candidates.</summary>
    public static IReadOnlyList<QuantizeConfig> DEFAULT_INT4_AUTOQUANT_CLASS_LIST => AutoQuantCandidates.Int4;

    /// <summary>Gets int8 candidates and 4 bits in gemlite's arithmetic.</summary>
    public static IReadOnlyList<QuantizeConfig> GEMLITE_INT4_AUTOQUANT_CLASS_LIST => AutoQuantCandidates.GemliteInt4;

    /// <summary>Gets candidates in 16-bit floating point.</summary>
    public static IReadOnlyList<QuantizeConfig> DEFAULT_FLOAT_AUTOQUANT_CLASS_LIST => AutoQuantCandidates.Float;

    /// <summary>Gets float8 candidates.</summary>
    public static IReadOnlyList<QuantizeConfig> OTHER_AUTOQUANT_CLASS_LIST => AutoQuantCandidates.Float8;

    /// <summary>Gets all candidates, in an order that is the same each time.</summary>
    public static IReadOnlyList<QuantizeConfig> ALL_AUTOQUANT_CLASS_LIST => AutoQuantCandidates.All;

    /// <summary>Measures which format is fastest for each linear layer, and quantizes the model in place.</summary>
    /// <param name="model">The model.</param>
    /// <param name="example_input">An input like those the model will get.</param>
    /// <param name="qtensor_class_list">The candidates.</param>
    /// <param name="filter_fn">Module and name; layers for which it is false are left alone.</param>
    /// <param name="min_sqnr">The least signal-to-noise ratio of a layer's output in dB.</param>
    /// <param name="error_on_unseen">Whether a layer that the input does not reach is an error.</param>
    /// <returns>What was measured and chosen; torchao returns the model.</returns>
    /// <remarks>torchao's <c>mode</c> estimates the time of fused code; here the whole product is measured.</remarks>
    public static AutoQuantReport autoquant(
        nn.Module<Tensor, Tensor> model,
        Tensor example_input,
        IReadOnlyList<QuantizeConfig>? qtensor_class_list = null,
        Func<nn.Module, string, bool>? filter_fn = null,
        double? min_sqnr = null,
        bool error_on_unseen = true) =>
        model.AutoQuantize(example_input, AutoQuantizeOptions(qtensor_class_list, filter_fn, min_sqnr, error_on_unseen));

    /// <summary>Begins to watch a model, torchao's <c>manual=True</c>: run it, then call <c>finalize_autoquant</c>.</summary>
    public static AutoQuantRun autoquant(
        nn.Module model,
        IReadOnlyList<QuantizeConfig>? qtensor_class_list = null,
        Func<nn.Module, string, bool>? filter_fn = null,
        double? min_sqnr = null,
        bool error_on_unseen = true) =>
        model.PrepareAutoQuantize(AutoQuantizeOptions(qtensor_class_list, filter_fn, min_sqnr, error_on_unseen));

    /// <summary>Measures and quantizes a model that was watched; torchao's method of the model.</summary>
    public static AutoQuantReport finalize_autoquant(AutoQuantRun run)
    {
        ArgumentNullException.ThrowIfNull(run);
        return run.Complete();
    }

    /// <summary>Shows the inputs and weights of a model's linear layers to observers while the model runs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="input_observer">Sees the inputs of all layers as matrices <c>[M, K]</c>, if given; the caller owns it.</param>
    /// <param name="weight_observer">Sees the weights <c>[N, K]</c> of all layers, if given; the caller owns it.</param>
    /// <param name="filter_fn">Module and name; layers for which it is false are left alone.</param>
    /// <returns>What takes the observers out again; the caller disposes it. torchao leaves them in.</returns>
    /// <exception cref="QuantizationException">No layer is there to observe.</exception>
    /// <remarks>As in torchao, one observer spans all layers; <c>model.Calibrate</c> gives each layer a range of its own.</remarks>
    public static InsertedObservers insert_observers_(
        nn.Module model,
        MinMaxObserver? input_observer,
        MinMaxObserver? weight_observer,
        Func<nn.Module, string, bool>? filter_fn = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new InsertedObservers(
            model, input_observer, weight_observer, filter_fn is null ? null : (name, module) => filter_fn(module, name));
    }

    /// <summary>Makes an int8 config with one scale a row, torchao's default.</summary>
    public static Int8WeightOnlyConfig int8_weight_only() => new();

    /// <summary>Makes an int8 config.</summary>
    public static Int8WeightOnlyConfig int8_weight_only(long? group_size) => new() { GroupSize = group_size };

    /// <summary>Makes an int4 config with groups of 128, torchao's default.</summary>
    public static Int4WeightOnlyConfig int4_weight_only() => new();

    /// <summary>Makes an int4 config. torchao's <c>zero_point_domain=NONE</c>, the layout's own, is <c>Float</c> here.</summary>
    public static Int4WeightOnlyConfig int4_weight_only(
        long? group_size = 128, bool use_hqq = false, ZeroPointDomain zero_point_domain = ZeroPointDomain.Float) =>
        new() { GroupSize = group_size, UseHqq = use_hqq, ZeroPointDomain = zero_point_domain };

    /// <summary>Makes a config of unsigned integers of 1 to 8 bits.</summary>
    public static UIntXWeightOnlyConfig uintx_weight_only(
        QuantizedType dtype, long? group_size = 64, int pack_dim = -1, bool use_hqq = false) =>
        new() { DType = dtype, GroupSize = group_size, PackDim = pack_dim, UseHqq = use_hqq };

    /// <summary>Makes a config of small floats of 3 to 7 bits.</summary>
    public static FPXWeightOnlyConfig fpx_weight_only(int ebits, int mbits) => new(ebits, mbits);

    /// <summary>Makes an NF4 config, torchao's defaults.</summary>
    public static NF4WeightOnlyConfig nf4_weight_only(long block_size = 64, long scaler_block_size = 256) =>
        new() { BlockSize = block_size, ScalerBlockSize = scaler_block_size };

    /// <summary>Makes a config of codebooks. torchao's <c>block_size</c> is one row high here.</summary>
    public static CodebookWeightOnlyConfig codebook_weight_only(
        QuantizedType? dtype = null, long block_size = 1, long? scale_block_size = null) =>
        new() { DType = dtype ?? QuantizedType.Unsigned(4), BlockSize = block_size, ScaleBlockSize = scale_block_size };

    /// <summary>Makes a config of signed weights of 1 to 8 bits and int8 activations.</summary>
    public static Int8DynamicActivationIntxWeightConfig int8_dynamic_activation_intx_weight(
        QuantizedType weight_dtype,
        Granularity? granularity = null,
        bool has_weight_zeros = false,
        MappingType weight_mapping_type = MappingType.Asymmetric) => new()
        {
            WeightDType = weight_dtype,
            Granularity = granularity ?? new PerGroup(128),
            HasWeightZeros = has_weight_zeros,
            WeightMappingType = weight_mapping_type,
        };

    /// <summary>Makes a config with the numbers of the GemLite kernels.</summary>
    public static GemliteUIntXWeightOnlyConfig gemlite_uintx_weight_only(
        long? group_size = 64, int bit_width = 4, int packing_bitwidth = 32, bool? contiguous = null) => new()
        {
            GroupSize = group_size,
            BitWidth = bit_width,
            PackingBitwidth = packing_bitwidth,
            Contiguous = contiguous,
        };

    /// <summary>Makes a float8 config, e4m3fn.</summary>
    public static Float8WeightOnlyConfig float8_weight_only() => new();

    /// <summary>Makes a float8 config.</summary>
    public static Float8WeightOnlyConfig float8_weight_only(ScalarType weight_dtype) => new() { WeightDType = weight_dtype };

    /// <summary>Makes a config of int8 weights and activations, torchao's default.</summary>
    public static Int8DynamicActivationInt8WeightConfig int8_dynamic_activation_int8_weight() => new();

    /// <summary>Makes a config of int8 weights and activations.</summary>
    public static Int8DynamicActivationInt8WeightConfig int8_dynamic_activation_int8_weight(
        MappingType act_mapping_type, bool weight_only_decode = false) =>
        new() { ActMappingType = act_mapping_type, WeightOnlyDecode = weight_only_decode };

    /// <summary>Makes a config of int4 weights in groups of 32 and int8 activations, torchao's default.</summary>
    public static Int8DynamicActivationInt4WeightConfig int8_dynamic_activation_int4_weight() => new();

    /// <summary>Makes a config of int4 weights and int8 activations. torchao's <c>layout=MarlinQQQLayout()</c> is
    /// <c>use_qqq: true</c> here.</summary>
    public static Int8DynamicActivationInt4WeightConfig int8_dynamic_activation_int4_weight(
        long? group_size,
        MappingType mapping_type = MappingType.Symmetric,
        MappingType act_mapping_type = MappingType.Asymmetric,
        bool use_qqq = false) =>
        new() { GroupSize = group_size, MappingType = mapping_type, ActMappingType = act_mapping_type, UseQqq = use_qqq };

    /// <summary>Makes a config of int4 weights and activations.</summary>
    public static Int4DynamicActivationInt4WeightConfig int4_dynamic_activation_int4_weight() => new();

    /// <summary>Makes a config of float8 weights and activations, one scale each, torchao's default.</summary>
    public static Float8DynamicActivationFloat8WeightConfig float8_dynamic_activation_float8_weight() => new();

    /// <summary>Makes a config of float8 weights and activations.</summary>
    public static Float8DynamicActivationFloat8WeightConfig float8_dynamic_activation_float8_weight(Float8Granularity granularity) =>
        new() { Granularity = granularity };

    /// <summary>Makes a config of float8 weights, and activations with a scale measured beforehand.</summary>
    public static Float8StaticActivationFloat8WeightConfig float8_static_activation_float8_weight(float scale) => new() { Scale = scale };

    private static AutoQuantOptions AutoQuantizeOptions(
        IReadOnlyList<QuantizeConfig>? candidates, Func<nn.Module, string, bool>? filter, double? minimumSqnr, bool errorOnUnseen) => new()
        {
            Candidates = candidates,
            Filter = filter is null ? null : (name, module) => filter(module, name),
            MinimumSqnr = minimumSqnr,
            AllowUnseen = !errorOnUnseen,
        };

    private static void Warn(string text)
    {
        lock (Gate)
        {
            if (!Warned.Add(text))
            {
                return;
            }
        }

        Trace.TraceWarning(text);
        DeprecationWarning?.Invoke(text);
    }
}
