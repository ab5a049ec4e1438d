using TorchAO.Algorithms.AutoQuant;
using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Runtime.Libtorch;
using TorchSharp.Modules;
using Xunit;
using static TorchAO.torchao;
using static TorchSharp.torch;

namespace TorchAO.Tests.Facade;

public sealed class FacadeTests
{
    [Fact]
    public void Lines_of_torchao_programs_compile_and_run()
    {
        using Linear a = nn.Linear(64, 32), b = nn.Linear(64, 32), c = nn.Linear(64, 32);
        using Linear d = nn.Linear(64, 32), e = nn.Linear(64, 32), f = nn.Linear(64, 32);

        Assert.Single(torchao.quantize_(a, new Int8WeightOnlyConfig()).Changed);
        Assert.Single(quantize_(b, int4_weight_only(group_size: 32), filter_fn: (module, name) => module is Linear).Changed);
        Assert.Single(quantize_(c, float8_weight_only()).Changed);
        Assert.Single(quantize_(d, uintx_weight_only(QuantizedType.UInt4, group_size: 32, pack_dim: -1)).Changed);
        Assert.Single(quantize_(e, gemlite_uintx_weight_only(group_size: null, bit_width: 8)).Changed);
        Assert.Single(quantize_(f, int4_weight_only(group_size: 32, use_hqq: true)).Changed);
        Assert.Empty(quantize_(a, int4_weight_only(group_size: 32)).Changed);
    }

    [Fact]
    public void Autoquant_runs_at_once_and_by_hand()
    {
        using Sequential a = nn.Sequential(nn.Linear(64, 32)), b = nn.Sequential(nn.Linear(64, 32));
        using Tensor input = rand(2, 64);

        AutoQuantReport once = autoquant(a, input, DEFAULT_INT4_AUTOQUANT_CLASS_LIST, min_sqnr: 10);
        using AutoQuantRun run = autoquant(b, filter_fn: (module, name) => name == "0");
        b.forward(input).Dispose();
        AutoQuantReport byHand = finalize_autoquant(run);

        Assert.Equal(DEFAULT_INT4_AUTOQUANT_CLASS_LIST.Count + 1, once.Layers.Single().Timings.Count);
        Assert.Equal(DEFAULT_AUTOQUANT_CLASS_LIST.Count + 1, byHand.Layers.Single().Timings.Count);
    }

    [Fact]
    public void Deprecated_uses_warn_once()
    {
        var warnings = new List<string>();
        void Note(string text) => warnings.Add(text);
        DeprecationWarning += Note;
        using Linear a = nn.Linear(64, 32), b = nn.Linear(64, 32), c = nn.Linear(64, 32);

        quantize_(a, int8_weight_only, set_inductor_config: false);
        quantize_(b, int8_weight_only, set_inductor_config: true);
        quantize_(c, linear => new Int8WeightOnlyConfig { GroupSize = linear.in_features / 2 });

        DeprecationWarning -= Note;
        Assert.Equal(warnings.Distinct(), warnings);
        Assert.Contains(warnings, text => text.Contains("set_inductor_config", StringComparison.Ordinal));
        Assert.Contains(warnings, text => text.Contains("ModuleRules", StringComparison.Ordinal));
    }

    [Fact]
    public void Arguments_of_int4_weight_only_are_torchaos()
    {
        Assert.Equal(new Int4WeightOnlyConfig(), int4_weight_only());
        Assert.Equal(new Int4WeightOnlyConfig { UseHqq = true }, int4_weight_only(use_hqq: true));
        Assert.Equal(
            new Int4WeightOnlyConfig { GroupSize = 64, ZeroPointDomain = ZeroPointDomain.Integer },
            int4_weight_only(group_size: 64, zero_point_domain: ZeroPointDomain.Integer));
    }

    [Fact]
    public void Every_config_survives_json()
    {
        foreach (QuantizeConfig config in BuiltInFormats.Catalog.Handlers.Select(handler => handler.DefaultConfig)
            .Append(new Int4WeightOnlyConfig { GroupSize = null }))
        {
            Assert.Equal(config, ConfigText.FromJson(BuiltInFormats.Catalog, ConfigText.ToJson(BuiltInFormats.Catalog, config)));
        }
    }

    [Theory]
    [InlineData("int4_weight_only(group_size=32)", 32)]
    [InlineData("int4wo-64", 64)]
    [InlineData("int4wo", 128)]
    public void Short_texts_are_read(string text, long groupSize) =>
        Assert.Equal(new Int4WeightOnlyConfig { GroupSize = groupSize }, ConfigText.Parse(BuiltInFormats.Catalog, text));

    [Fact]
    public void Every_config_survives_its_short_form()
    {
        QuantizeConfig[] configs =
        [
            .. BuiltInFormats.Catalog.Handlers.Select(handler => handler.DefaultConfig),
            new Int4WeightOnlyConfig { GroupSize = 32, MappingType = MappingType.Symmetric, NarrowRange = true },
            new Int4WeightOnlyConfig { GroupSize = null },
            new Float8WeightOnlyConfig { WeightDType = ScalarTypes.Float8E5M2, Granularity = Float8Granularity.PerTensor },
        ];

        string[] texts = [.. configs.Select(config => ConfigText.Write(BuiltInFormats.Catalog, config))];

        Assert.All(configs.Zip(texts), pair => Assert.Equal(pair.First, ConfigText.Parse(BuiltInFormats.Catalog, pair.Second)));
        Assert.Contains("int8_weight_only", texts);
        Assert.Contains("float8_weight_only(weight_dtype=F8_E5M2, granularity=per_tensor)", texts);
        Assert.Contains("int4_weight_only(group_size=32, mapping_type=symmetric, narrow_range=true)", texts);
    }

    [Theory]
    [InlineData("int4_wieght_only", "'int4_weight_only'")]
    [InlineData("int4wo(grup_size=32)", "'group_size'")]
    [InlineData("int4wo(group_size=many)", "group_size")]
    [InlineData("int4wo(group_size=32", "bracket")]
    [InlineData("int4wo(32)", "option=value")]
    public void A_wrong_text_names_what_is_near(string text, string expected) => Assert.Contains(
        expected,
        Assert.Throws<QuantizationException>(() => ConfigText.Parse(BuiltInFormats.Catalog, text)).Message,
        StringComparison.Ordinal);
}
