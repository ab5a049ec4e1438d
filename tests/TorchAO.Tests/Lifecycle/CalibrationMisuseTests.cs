using TorchAO.Formats.Float8;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Primitives;
using TorchAO.Primitives.Observers;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

/// <summary>Each mistake is a typed error, and the model is as it was.</summary>
public sealed class CalibrationMisuseTests
{
    private static readonly Float8StaticActivationFloat8WeightConfig Static = new();

    [Fact]
    public void Layers_that_saw_no_input_are_an_error_that_names_them()
    {
        using Sequential model = ThreeLayers();
        using Tensor input = rand(1, 64);

        string message = Assert.Throws<QuantizationException>(() => model.Calibrate(() => Run(model, "used", input))).Message;

        Assert.Contains("2 of 3 layers saw no input in the calibration: idle, lazy.", message, StringComparison.Ordinal);
        AssertFloat(model);
    }

    [Fact]
    public void Layers_that_saw_no_input_may_be_left_out_and_then_cannot_be_quantized_by_it()
    {
        using Sequential model = ThreeLayers();
        using Tensor input = rand(1, 64);
        CalibrationResult result = model.Calibrate(() => Run(model, "used", input), new() { AllowUnseen = true });

        string message = Assert.Throws<QuantizationException>(() => model.Quantize(Static, new() { Calibration = result })).Message;

        Assert.Equal("used", result.Layers.Single().Name);
        Assert.Contains("module 'idle' is not among the 1 layers of the calibration; near: 'used'", message, StringComparison.Ordinal);
        AssertFloat(model);
        Assert.Single(model.Quantize(result.ToRules(Static)).Changed);
    }

    [Fact]
    public void A_run_that_reaches_nothing_is_an_error_even_if_layers_may_be_left_out()
    {
        using Sequential model = ThreeLayers();

        string message = Assert.Throws<QuantizationException>(() => model.Calibrate(() => { }, new() { AllowUnseen = true })).Message;

        Assert.Contains("3 of 3 layers saw no input", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_filter_that_admits_no_layer_is_an_error()
    {
        using var model = new OpenBlock();
        using Tensor input = rand(1, 64);

        string message = Assert.Throws<QuantizationException>(() => model.Calibrate(input, new() { Filter = (_, _) => false })).Message;

        Assert.Contains("OpenBlock: there is no Linear in floating point that the filter admits", message, StringComparison.Ordinal);
        Assert.Contains("CalibrationOptions.Filter", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_that_is_quantized_already_is_an_error()
    {
        using var model = new OpenBlock();
        model.Quantize(new Int8WeightOnlyConfig());

        Assert.Throws<QuantizationException>(() => model.PrepareCalibration());
    }

    [Fact]
    public void A_model_on_the_meta_device_is_an_error()
    {
        using nn.Module<Tensor, Tensor> model = new OpenBlock().to(META);

        string message = Assert.Throws<QuantizationException>(() => model.PrepareCalibration()).Message;

        Assert.Contains("module 'up': the weight [32, 64] on meta cannot be run", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_error_in_the_run_leaves_the_model_as_it_was(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = isSealed ? new SealedBlock() : new OpenBlock();
        Linear up = model is SealedBlock block ? block.Up : (Linear)((OpenBlock)model).Up;
        (Parameter weight, Parameter bias) = (up.weight!, up.bias!);
        using Tensor input = rand(3, 64), before = model.forward(input);

        Assert.Throws<TimeoutException>(() => model.Calibrate(() =>
        {
            model.forward(input).Dispose();
            throw new TimeoutException();
        }));

        Assert.Same(weight, up.weight);
        Assert.Same(bias, up.bias);
        Assert.True(weight.requires_grad && bias.requires_grad);
        using Tensor after = model.forward(input);
        Assert.True(before.allclose(after, rtol: 0, atol: 0));
        model.Calibrate(input);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Activations_that_are_not_finite_are_an_error_that_names_the_layers(float value)
    {
        using Sequential model = nn.Sequential(("before", nn.Linear(64, 64)), ("after", nn.Linear(64, 64)));
        using (no_grad())
        {
            ((Linear)model[0]).bias![7] = value;
        }

        using Tensor first = rand(2, 64), second = rand(2, 64);
        string message = Assert.Throws<QuantizationException>(() => model.Calibrate([first, second])).Message;

        Assert.Contains("1 of 2 layers got NaN or infinity in the calibration, expected finite inputs: after (from", message, StringComparison.Ordinal);
        AssertFloat(model);
    }

    [Fact]
    public void A_layer_that_saw_zeros_alone_has_no_scale()
    {
        using var model = new OpenBlock();
        using Tensor input = zeros(2, 64);
        CalibrationResult calibration = model.Calibrate(input);

        string message = Assert.Throws<QuantizationException>(() => model.Quantize(Static, new() { Calibration = calibration })).Message;

        Assert.Contains("module 'up': The activations reach from 0 to 0", message, StringComparison.Ordinal);
        Assert.IsType<Linear>(model.Up);
    }

    [Fact]
    public void Static_activations_without_a_calibration_say_where_scales_come_from()
    {
        using var model = new OpenBlock();

        string message = Assert.Throws<QuantizationException>(() => model.Quantize(Static)).Message;

        Assert.Contains("Measure it by model.Calibrate and pass the result as QuantizeOptions.Calibration", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_calibration_that_no_config_takes_is_an_error()
    {
        using var model = new OpenBlock();
        using Tensor input = rand(1, 64);
        CalibrationResult calibration = model.Calibrate(input);

        foreach (TorchAO.Configuration.QuantizeConfig config in new TorchAO.Configuration.QuantizeConfig[]
            { new Int8WeightOnlyConfig(), Static with { Scale = 1 } })
        {
            Assert.Contains(
                "no rule's config takes a scale from it",
                Assert.Throws<QuantizationException>(() => model.Quantize(config, new() { Calibration = calibration })).Message,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_wrong_type_of_codes_is_an_error_before_anything_is_measured_away()
    {
        using var model = new OpenBlock();
        using Tensor input = rand(1, 64);
        CalibrationResult calibration = model.Calibrate(input);

        string message = Assert.Throws<QuantizationException>(
            () => model.Quantize(Static with { ActivationDType = ScalarType.Float32 }, new() { Calibration = calibration })).Message;

        Assert.Contains("module 'up': ActivationDType is F32, expected F8_E4M3 or F8_E5M2", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_runs_at_once_are_an_error_and_the_first_goes_on()
    {
        using var model = new SealedBlock();
        using Tensor input = rand(2, 64);
        using CalibrationRun run = model.PrepareCalibration();

        string message = Assert.Throws<QuantizationException>(() => model.PrepareCalibration()).Message;

        Assert.Contains("module 'up' is watched by another run", message, StringComparison.Ordinal);
        model.forward(input).Dispose();
        Assert.Equal(1, run.Complete().Layers.Single().Calls);
    }

    [Fact]
    public void A_run_is_completed_once()
    {
        using var model = new OpenBlock();
        using Tensor input = rand(2, 64);
        using CalibrationRun run = model.PrepareCalibration();
        model.forward(input).Dispose();
        run.Complete();

        Assert.Contains("over", Assert.Throws<InvalidOperationException>(run.Complete).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_is_dropped_leaves_the_model_as_it_was()
    {
        using var model = new SealedBlock();
        Parameter weight = model.Up.weight!;

        model.PrepareCalibration().Dispose();

        Assert.Same(weight, model.Up.weight);
    }

    [Fact]
    public void Inserting_no_observer_is_an_error()
    {
        using var model = new OpenBlock();

        Assert.Contains(
            "no observer to insert", Assert.Throws<ArgumentException>(() => torchao.insert_observers_(model, null, null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_observer_without_a_scheme_has_no_scales()
    {
        using var observer = new MinMaxObserver(new PerTensor());
        using Tensor values = rand(3);
        observer.Observe(values);

        Assert.Contains("without a scheme", Assert.Throws<InvalidOperationException>(observer.CalculateQParams).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_scheme_with_a_scale_for_each_token_has_no_static_scale() => Assert.Contains(
        "expected a symmetric scheme with one scale for the whole tensor",
        Assert.Throws<QuantizationException>(() => ActivationScheme.Int8PerToken.ChooseStaticScale(-1, 1)).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData(float.NaN, 1)]
    [InlineData(0, float.PositiveInfinity)]
    [InlineData(2, 1)]
    [InlineData(0, 0)]
    public void A_range_that_is_none_has_no_static_scale(float min, float max) => Assert.Contains(
        $"The activations reach from {min} to {max}",
        Assert.Throws<QuantizationException>(() => Static.WithRange(min, max)).Message,
        StringComparison.Ordinal);

    private static Sequential ThreeLayers() =>
        nn.Sequential(("used", nn.Linear(64, 64)), ("idle", nn.Linear(64, 64)), ("lazy", nn.Linear(64, 64)));

    private static void Run(Sequential model, string name, Tensor input) =>
        ((nn.Module<Tensor, Tensor>)model.named_children().Single(child => child.name == name).module).forward(input).Dispose();

    private static void AssertFloat(Sequential model)
    {
        Assert.All(model.children(), child => Assert.IsType<Linear>(child));
        using Tensor input = rand(2, 64), output = model.forward(input);
        Assert.Equal(2, output.size(0));
    }
}
