using TorchAO.Configuration;
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
        Assert.Contains("48", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_that_is_not_a_number_is_an_error_before_anything_changes()
    {
        using var model = new Holders();
        using (no_grad())
        {
            ((Linear)model.Property).weight!.index_put_(float.NaN, TensorIndex.Single(0), TensorIndex.Single(0));
        }

        Assert.Contains("module 'Property': 1 of the 4096 weights", Message(() => model.Quantize(Int8)), StringComparison.Ordinal);
        Assert.All(ModuleWalker.Find(model), site => Assert.Null(site.Executor));
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.ComplexFloat32)]
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
        Assert.Empty(model.Explain(Int8).Layers.Where(layer => layer.Outcome == LayerOutcome.AlreadyQuantized));
    }

    [Fact]
    public void Attention_that_libtorch_keeps_to_itself_is_reported()
    {
        using MultiheadAttention attention = nn.MultiheadAttention(16, 2);

        LayerReport layer = Assert.Single(attention.Explain(Int8).Layers);

        Assert.Equal(LayerOutcome.Skipped, layer.Outcome);
        Assert.True(layer.BytesBefore > 0);
    }

    [Fact]
    public void Null_empty_and_broken_arguments_are_refused()
    {
        using var model = new OpenBlock();
        Assert.Throws<ArgumentNullException>(() => model.Quantize((QuantizeConfig)null!));
        Assert.Throws<ArgumentNullException>(() => ((nn.Module)null!).Quantize(Int8));
        Assert.Throws<ArgumentException>(() => model.Quantize(new ModuleRules()));
        Assert.Throws<ArgumentException>(() => new ModuleRules { ["re:("] = Int8 });
        Assert.Throws<ArgumentException>(() => new ModuleRules { ["a"] = Int8, ["a"] = Int8 });
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
