using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Primitives.Observers;
using TorchAO.Tests.Golden;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

/// <summary>Ranges are those of the activations, and configs with static activations take them.</summary>
public sealed class CalibrationTests
{
    private const float LargestE4M3 = 448;

    private static readonly Float8StaticActivationFloat8WeightConfig Static = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Calls_are_seen_on_both_roads_past_the_hooks(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = isSealed ? new SealedBlock() : new OpenBlock();
        using DisposeScope scope = NewDisposeScope();
        Tensor first = rand(3, 64) - 2, vector = rand(64), batch = rand(2, 5, 64) + 1;

        CalibrationResult result = model.Calibrate(() =>
        {
            model.forward(first).Dispose();
            model.call(vector).Dispose();
            model.forward(batch).Dispose();
            model.forward(rand(0, 64)).Dispose(); // no token, nothing to see
        });

        Assert.Equal([new("up", first.min().item<float>(), batch.max().item<float>(), 3, 14)], result.Layers);
    }

    [Fact]
    public void Each_layer_has_the_range_of_its_own_inputs()
    {
        using Sequential model = TwoLayers();
        using DisposeScope scope = NewDisposeScope();
        Tensor input = randn(6, 64);
        Tensor inner = nn.functional.relu(((Linear)model[0]).forward(input));

        CalibrationResult result = model.Calibrate(input);

        Assert.Equal(["up", "down"], result.Layers.Select(layer => layer.Name));
        Assert.Equal((input.min().item<float>(), input.max().item<float>()), (result.Layers[0].Min, result.Layers[0].Max));
        Assert.Equal(0, result.Layers[1].Min);
        Assert.Equal(inner.max().item<float>(), result.Layers[1].Max, 1e-5f);
    }

    [Fact]
    public void One_range_may_serve_all_layers()
    {
        using Sequential model = TwoLayers();
        using DisposeScope scope = NewDisposeScope();
        Tensor[] inputs = [randn(6, 64), randn(3, 64) * 4];
        CalibrationResult own = model.Calibrate(inputs);

        CalibrationResult shared = model.Calibrate(inputs, new() { SharesRange = true });

        Assert.All(shared.Layers, layer => Assert.Equal(
            (own.Layers.Min(each => each.Min), own.Layers.Max(each => each.Max)), (layer.Min, layer.Max)));
        Assert.NotEqual(own.Layers[1].Max, shared.Layers[1].Max);
        Assert.Equal(own.Layers.Select(layer => layer.Calls), shared.Layers.Select(layer => layer.Calls));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Each_layer_is_quantized_with_the_scale_of_its_range(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = isSealed ? new SealedBlock() : new OpenBlock(), twin = isSealed ? new SealedBlock() : new OpenBlock();
        twin.load_state_dict(model.state_dict());
        using DisposeScope scope = NewDisposeScope();
        Tensor input = randn(5, 64);
        float scale = input.abs().max().item<float>() / LargestE4M3;

        CalibrationResult calibration = model.Calibrate(input);
        QuantizeReport report = model.Quantize(Static, new() { Calibration = calibration });
        twin.Quantize(Static with { Scale = scale });

        Assert.Equal(Static with { Scale = scale }, report.Layers.Single().Config);
        Assert.True(model.forward(input).allclose(twin.forward(input), rtol: 0, atol: 0));
    }

    [Fact]
    public void A_calibrated_model_is_as_accurate_as_torchaos_bar()
    {
        using Sequential model = TwoLayers();
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        Tensor input = randn(64, 64), exact = model.forward(input);

        model.Quantize(Static, new() { Calibration = model.Calibrate(input) });

        Assert.InRange(Accuracy.Decibels(exact, model.forward(input)), 20, 60);
    }

    [Fact]
    public void A_scale_of_the_rule_and_configs_without_one_stay_as_they_are()
    {
        using Sequential model = nn.Sequential(("a", nn.Linear(64, 64)), ("b", nn.Linear(64, 64)), ("c", nn.Linear(64, 64)));
        using Tensor input = randn(4, 64);
        CalibrationResult calibration = model.Calibrate(input);

        QuantizeReport report = model.Quantize(
            new ModuleRules { ["a"] = Static with { Scale = 3 }, ["b"] = new Int8WeightOnlyConfig(), ["c"] = Static },
            new() { Calibration = calibration });

        Assert.Equal(
            [Static with { Scale = 3 }, new Int8WeightOnlyConfig(), calibration.ConfigFor("c", Static)],
            report.Layers.Select(layer => layer.Config));
    }

    [Fact]
    public void The_rules_go_through_a_recipe_to_another_copy()
    {
        using Sequential model = TwoLayers(), copy = TwoLayers();
        copy.load_state_dict(model.state_dict());
        using DisposeScope scope = NewDisposeScope();
        Tensor input = randn(4, 64);
        CalibrationResult calibration = model.Calibrate(input);
        string recipe = new QuantizeRecipe(calibration.ToRules(Static)).ToJson();

        model.Quantize(Static, new() { Calibration = calibration });
        copy.Quantize(QuantizeRecipe.Parse(recipe));

        Assert.True(model.forward(input).allclose(copy.forward(input), rtol: 0, atol: 0));
    }

    [Fact]
    public void What_was_measured_on_one_copy_explains_and_quantizes_another()
    {
        using Sequential model = TwoLayers(), copy = TwoLayers();
        using Tensor input = randn(4, 64);
        CalibrationResult calibration = model.Calibrate(input);

        QuantizeReport explained = copy.Explain(Static, new() { Calibration = calibration });
        QuantizeReport done = copy.Quantize(Static, new() { Calibration = calibration });
        QuantizeReport again = copy.Quantize(Static, new() { Calibration = calibration });

        Assert.Equal(explained.Layers.Select(layer => layer.Config), done.Layers.Select(layer => layer.Config));
        Assert.Contains("scale", copy.children().OfType<QuantizedLinear>().First().ToString(), StringComparison.Ordinal);
        Assert.All(again.Layers, layer => Assert.Equal(LayerOutcome.AlreadyQuantized, layer.Outcome));
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void Half_precision_ranges_are_exact(ScalarType type)
    {
        using nn.Module<Tensor, Tensor> model = new OpenBlock().to(type);
        using DisposeScope scope = NewDisposeScope();
        Tensor input = randn(4, 64).to(type), wide = input.to(ScalarType.Float32);

        CalibratedLayer layer = model.Calibrate(input).Layers.Single();

        Assert.Equal((wide.min().item<float>(), wide.max().item<float>()), (layer.Min, layer.Max));
    }

    [Fact]
    public void A_layer_that_is_held_twice_has_one_row()
    {
        using var model = new Holders();
        using Tensor input = randn(2, 64);

        CalibrationResult result = model.Calibrate(input);

        Assert.Equal(2, result.Find("open")!.Calls);
        Assert.Null(result.Find("shared"));
        Assert.All(result.Layers.Where(layer => layer.Name != "open"), layer => Assert.Equal(1, layer.Calls));
    }

    [Fact]
    public void Tied_layers_are_watched_and_stay_tied()
    {
        using var model = new TiedModel();
        using Tensor tokens = tensor(new long[] { 3, 5 });
        Parameter[] before = [.. model.parameters()];

        CalibrationResult result = model.Calibrate(tokens);

        Assert.Equal(["head", "twin"], result.Layers.Select(layer => layer.Name));
        Assert.Equal(result.Layers[0].Max, result.Layers[1].Max);
        Assert.Equal(before, model.parameters());
    }

    [Fact]
    public void Inference_mode_is_as_good_as_no_grad()
    {
        using var model = new SealedBlock();
        using Tensor input = randn(3, 64);
        float expected = model.Calibrate(input).Layers.Single().Max;

        using (inference_mode())
        {
            Assert.Equal(expected, model.Calibrate(input).Layers.Single().Max);
        }

        using Tensor output = model.forward(input);
        Assert.True(output.requires_grad);
    }

    [Fact]
    public void Other_kinds_of_modules_are_left_out_with_a_reason()
    {
        using var model = new TiedModel();
        using Tensor tokens = tensor(new long[] { 3, 5 });

        QuantizeReport report = model.Explain(
            Static, new() { Calibration = model.Calibrate(tokens), Modules = ModuleKinds.All });

        LayerReport table = report.Layers.Single(layer => layer.Name == "tokens");
        Assert.Equal(LayerOutcome.Skipped, table.Outcome);
        Assert.Contains("watches linear layers alone", table.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void The_result_is_a_table()
    {
        var result = new CalibrationResult([new("model.up", -1.5f, 2, 3, 96), new("down", 0, 10.25f, 3, 96)]);

        Assert.Equal(
            """
            layer      min    max  calls  tokens
            model.up  -1.5      2      3      96
            down         0  10.25      3      96
            2 layers calibrated
            """.ReplaceLineEndings(),
            result.ToString());
    }

    [Fact]
    public void Inserted_observers_see_what_the_filter_admits_until_they_are_taken_out()
    {
        using Sequential model = TwoLayers();
        using DisposeScope scope = NewDisposeScope();
        Tensor input = randn(4, 64);
        using var inputs = new MinMaxObserver(new PerAxis(-1));
        using var weights = new MinMaxObserver(new PerTensor());

        using (InsertedObservers inserted = torchao.insert_observers_(model, inputs, weights, (_, name) => name == "up"))
        {
            Assert.Equal(["up"], inserted.Layers);
            model.forward(input).Dispose();
        }

        model.forward(input * 100).Dispose(); // nobody looks any more
        Assert.True(inputs.Max.flatten().allclose(input.amax([0]), rtol: 0, atol: 0));
        Assert.Equal(((Linear)model[0]).weight!.max().item<float>(), weights.Max.item<float>());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_calibration_leaves_no_tensor(bool isSealed)
    {
        using Tensor input = rand(2, 64);
        using nn.Module<Tensor, Tensor> model = isSealed ? new SealedBlock() : new OpenBlock();
        model.Calibrate(input);
        long before = LiveTensors.Count();

        for (int i = 0; i < 50; i++)
        {
            model.Calibrate(input);
        }

        Assert.Equal(before, LiveTensors.Count());
    }

    private static Sequential TwoLayers() =>
        nn.Sequential(("up", nn.Linear(64, 128)), ("act", nn.ReLU()), ("down", nn.Linear(128, 64)));
}
