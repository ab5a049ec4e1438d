using TorchAO.Configuration;
using TorchAO.Formats;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

/// <summary>Each mistake is a typed error that says what, where, got, expected and what to do, or a row with the reason.</summary>
public sealed class MisuseTests
{
    private static readonly Int8WeightOnlyConfig Int8 = new();

    [Fact]
    public void A_rule_that_matches_nothing_names_near_modules()
    {
        using var model = new Holders();

        string message = Message(() => model.Quantize(new ModuleRules { ["lists.0"] = Int8 }));

        Assert.Contains("rule 'lists.0'", message, StringComparison.Ordinal);
        Assert.Contains("'list.0'", message, StringComparison.Ordinal);
        Assert.Contains("nothing was changed", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rule_behind_a_wider_one_is_an_error()
    {
        using var model = new Holders();

        string message = Message(() => model.Quantize(new ModuleRules { ["*"] = Int8, ["typed"] = ModuleRules.Skip }));

        Assert.Contains("decides for no layer", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_without_linear_layers_is_an_error()
    {
        using Sequential model = nn.Sequential(nn.ReLU());

        Assert.Contains("no linear layer was found", Message(() => model.Quantize(Int8)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_group_that_divides_no_row_is_an_error_that_lists_the_layers()
    {
        using var model = new OpenBlock();

        string message = Message(() => model.Quantize(new Int4WeightOnlyConfig { GroupSize = 48 }));

        Assert.Contains("up (Linear)", message, StringComparison.Ordinal);
        Assert.Contains("in_features 64", message, StringComparison.Ordinal);
        Assert.Contains("the group size 48; use a GroupSize of 32, or null for one scale a row", message, StringComparison.Ordinal);
        Assert.Contains("nothing was changed", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Advice_names_sizes_that_have_the_kernel_of_one_scale_a_row_in_the_options_own_words()
    {
        using Linear model = nn.Linear(1536, 8);
        string Reason(string config) => Assert.Single(model.Explain(ConfigText.Parse(BuiltInFormats.Catalog, config)).Skipped).Reason!;
        string kernel = Assert.Single(model.Explain(new Int4WeightOnlyConfig { GroupSize = null }).Layers).Kernel!;

        string plain = Reason("int4wo-100"), granular = Reason("intxwo(granularity=per_group(100))");

        Assert.EndsWith(", or null for one scale a row", plain, StringComparison.Ordinal);
        Assert.EndsWith(", or PerRow for one scale a row", granular, StringComparison.Ordinal);
        Assert.Contains("use a Granularity of PerGroup(", granular, StringComparison.Ordinal);
        string sizes = plain[(plain.IndexOf("GroupSize of ", StringComparison.Ordinal) + "GroupSize of ".Length)..plain.IndexOf(", or null", StringComparison.Ordinal)];
        Assert.All(sizes.Split([", ", " or "], StringSplitOptions.None), size => Assert.Equal(
            kernel, Assert.Single(model.Explain(new Int4WeightOnlyConfig { GroupSize = long.Parse(size) }).Layers).Kernel));
    }

    [Fact]
    public void Layers_with_the_same_reason_are_told_once()
    {
        using Sequential model = nn.Sequential(nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(48, 8));

        string message = Message(() => model.Quantize(new Int4WeightOnlyConfig { GroupSize = 40 }));

        Assert.Contains("4 layers (0, 1, 2, …): in_features 64 is not", message, StringComparison.Ordinal);
        Assert.Contains("; 4 (Linear): in_features 48 is not", message, StringComparison.Ordinal);
        Assert.DoesNotContain("MinimumCoverage", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-5)]
    public void A_group_size_that_fits_no_weight_is_an_error_that_names_layer_and_config(long groupSize)
    {
        using var model = new OpenBlock();

        string message = Message(() => model.Explain(new Int4WeightOnlyConfig { GroupSize = groupSize }));

        Assert.Contains($"module 'up', int4_weight_only(group_size={groupSize})", message, StringComparison.Ordinal);
        Assert.Contains($"GroupSize is {groupSize}, expected a positive count", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_group_that_fits_some_layers_skips_the_others_with_a_reason()
    {
        using Sequential model = nn.Sequential(("wide", nn.Linear(64, 48)), ("narrow", nn.Linear(48, 8)));

        QuantizeReport report = model.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 });

        Assert.Equal("wide", Assert.Single(report.Changed).Name);
        Assert.Contains("no multiple of 32 that divides it has a fast kernel, so use a GroupSize of null", Assert.Single(report.Skipped).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_that_cannot_compute_is_an_error_before_anything_changes()
    {
        using var model = new Holders();
        var rules = new ModuleRules { ["open"] = Int8 };
        rules.Add("*", Int8, META);

        string message = Message(() => model.Quantize(rules));

        Assert.Contains("go to meta, expected cpu", message, StringComparison.Ordinal);
        Assert.Contains("go to cuda:99", Message(
            () => model.Quantize(Int8, new() { Device = new Device(DeviceType.CUDA, 99) })), StringComparison.Ordinal);
        Assert.All(ModuleWalker.Find(model), site => Assert.Null(site.Executor));
    }

    [Fact]
    public void A_bias_of_another_length_is_an_error_that_names_the_layer()
    {
        using var model = new SealedBlock();
        model.Up.bias = new Parameter(zeros(5));

        string message = Message(() => model.Quantize(Int8));

        Assert.Contains("module 'up'", message, StringComparison.Ordinal);
        Assert.Contains("bias has shape [5], expected [32]", message, StringComparison.Ordinal);
        Assert.Contains("nothing was changed", message, StringComparison.Ordinal);
        Assert.Null(InPlaceLinear.Find(model.Up));
    }

    [Fact]
    public void An_empty_weight_is_skipped_with_a_reason()
    {
        using Linear model = nn.Linear(64, 32, hasBias: false);
        model.weight = new Parameter(zeros(0, 64));

        Assert.Contains("[0, 64] is empty", Assert.Single(model.Explain(Int8).Skipped).Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("int4_weight_onyl", "'int4_weight_only'")]
    [InlineData("int8w", "near: 'int8wo'")]
    [InlineData("int5wo", "'int4wo', 'int8wo'")]
    [InlineData("int4_weight_only(group=32)", "'group_size'")]
    [InlineData("int4_weight_only(group_size=many)", "\"many\", expected a whole number, or none")]
    [InlineData("int4_weight_only(group_size=32", "bracket is not closed")]
    [InlineData("int4_weight_only(group_size=32, group_size=64)", "each option once")]
    [InlineData("int4_weight_only(mapping_type=sideways)", "\"sideways\", expected symmetric or symmetric_no_clipping_error or asymmetric")]
    public void A_config_text_that_nobody_knows_names_what_was_got_and_what_is_near(string text, string expected) =>
        Assert.Contains(expected, Message(() => ConfigText.Parse(BuiltInFormats.Catalog, text)), StringComparison.Ordinal);

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_weight_that_is_not_a_number_is_an_error_before_anything_changes(float value)
    {
        using var model = new Holders();
        using (no_grad())
        {
            ((Linear)model.Property).weight!.index_put_(value, TensorIndex.Single(0), TensorIndex.Single(0));
        }

        Assert.Contains("module 'Property': 1 of the 4096 weights", Message(() => model.Quantize(Int8)), StringComparison.Ordinal);
        Assert.All(ModuleWalker.Find(model), site => Assert.Null(site.Executor));
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.ComplexFloat32)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Bool)]
    public void A_weight_of_another_type_is_skipped_with_a_reason(ScalarType type)
    {
        using Linear model = nn.Linear(64, 32, hasBias: false);
        model.weight = new Parameter(zeros(32, 64, dtype: type), requires_grad: false);

        Assert.Contains("expected Float32", model.Explain(Int8).Layers[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_on_the_meta_device_is_skipped_with_a_reason()
    {
        using Linear model = nn.Linear(64, 32, device: META);

        Assert.Contains("meta device", model.Explain(Int8).Layers[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Too_little_coverage_is_an_error_before_anything_changes()
    {
        using var model = new Holders();
        var options = new QuantizeOptions { MinimumCoverage = 0.9, Filter = (name, _) => name == "open" };

        Assert.Contains("expected at least 90 %", Message(() => model.Quantize(Int8, options)), StringComparison.Ordinal);
        Assert.DoesNotContain(model.Explain(Int8).Layers, layer => layer.Outcome == LayerOutcome.AlreadyQuantized);
    }

    [Fact]
    public void Attention_that_libtorch_keeps_to_itself_is_reported()
    {
        using MultiheadAttention attention = nn.MultiheadAttention(16, 2);

        LayerReport layer = Assert.Single(attention.Explain(Int8).Layers);

        Assert.Equal(LayerOutcome.Skipped, layer.Outcome);
        Assert.True(layer.BytesBefore > 0);
        Assert.Contains("out_proj stay in floating point", layer.Reason, StringComparison.Ordinal);
        Assert.Contains("scaled_dot_product_attention", layer.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Attention_beside_linear_layers_lowers_the_coverage_and_still_works()
    {
        using var model = new AttentionBlock();
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(4, 1, 64), before = model.forward(x);

        QuantizeReport report = model.Quantize(Int8);

        Assert.Equal("up", Assert.Single(report.Changed).Name);
        Assert.Equal("attention", Assert.Single(report.Skipped).Name);
        Assert.InRange(report.Coverage, 0.1, 0.4);
        Assert.True(model.forward(x).allclose(before, rtol: 0.05, atol: 0.05));
    }

    [Fact]
    public void Null_empty_and_broken_arguments_are_refused()
    {
        using var model = new OpenBlock();
        Assert.Throws<ArgumentNullException>(() => model.Quantize((QuantizeConfig)null!));
        Assert.Throws<ArgumentNullException>(() => ((nn.Module)null!).Quantize(Int8));
        Assert.Throws<ArgumentNullException>(() => model.Quantize((ModuleRules)null!));
        Assert.Throws<ArgumentNullException>(() => ((nn.Module)null!).Dequantize());
        Assert.Throws<ArgumentNullException>(() => new ModuleRules { ["*"] = null! });
        Assert.Throws<ArgumentException>(() => new ModuleRules { [" "] = Int8 });
        Assert.Throws<ArgumentNullException>(() => ConfigText.Parse(BuiltInFormats.Catalog, null!));
        Assert.Throws<ArgumentException>(() => model.Quantize(new ModuleRules()));
        Assert.Throws<ArgumentException>(() => new ModuleRules { ["re:("] = Int8 });
        Assert.Throws<ArgumentException>(() => new ModuleRules { { "a", Int8 }, { "a", Int8 } });
    }

    [Fact]
    public void A_disposed_model_is_refused()
    {
        var model = new OpenBlock();
        model.Dispose();

        Assert.Throws<ObjectDisposedException>(() => model.Quantize(Int8));
    }

    [Fact]
    public void A_cancelled_walk_stops_before_the_next_layer()
    {
        using var model = new Holders();
        using var source = new CancellationTokenSource();
        source.Cancel();

        Assert.Throws<OperationCanceledException>(() => model.Quantize(Int8, new() { CancellationToken = source.Token }));
    }

    private static string Message(Action action) => Assert.Throws<QuantizationException>(action).Message;
}
