using TorchAO.Algorithms.AutoQuant;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Tests.Lifecycle;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Algorithms.AutoQuant;

/// <summary>Each mistake is a typed error, and the model is as it was.</summary>
public sealed class AutoQuantMisuseTests
{
    [Fact]
    public void A_layer_that_was_never_reached_is_an_error_that_names_it()
    {
        using var model = new OpenBlock();
        nn.Module<Tensor, Tensor> up = model.Up;

        string message = Assert.Throws<QuantizationException>(() => model.AutoQuantize(() => { })).Message;

        Assert.Contains("1 of 1 layers were not reached by the example inputs: up", message, StringComparison.Ordinal);
        Assert.Same(up, model.Up);
        AssertRuns(model);
    }

    [Fact]
    public void A_layer_that_was_never_reached_may_stay()
    {
        using Sequential model = nn.Sequential(("used", nn.Linear(64, 64)), ("idle", nn.Linear(64, 64)));
        using Tensor input = rand(1, 64);

        AutoQuantReport report = model.AutoQuantize(
            () => ((nn.Module<Tensor, Tensor>)model.children().First()).forward(input).Dispose(), new() { AllowUnseen = true });

        Assert.Null(report.Layers.Single(layer => layer.Name == "idle").Choice);
        Assert.Contains("never reached, left as they are: idle", report.ToString(), StringComparison.Ordinal);
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

        Assert.Throws<TimeoutException>(() => model.AutoQuantize(() =>
        {
            model.forward(input).Dispose();
            throw new TimeoutException();
        }));

        Assert.Same(weight, up.weight);
        Assert.Same(bias, up.bias);
        Assert.True(weight.requires_grad && bias.requires_grad);
        using Tensor after = model.forward(input);
        Assert.True(before.allclose(after, rtol: 0, atol: 0));
    }

    [Fact]
    public void A_watched_model_computes_what_it_did()
    {
        using var model = new SealedBlock();
        using Tensor input = rand(2, 3, 64), before = model.forward(input);

        using (AutoQuantRun run = model.PrepareAutoQuantize())
        {
            using Tensor watched = model.forward(input);
            Assert.True(before.allclose(watched, rtol: 1e-6, atol: 1e-6));
        }

        AssertRuns(model);
    }

    [Fact]
    public void A_run_is_completed_once()
    {
        using var model = new OpenBlock();
        using AutoQuantRun run = model.PrepareAutoQuantize();
        AssertRuns(model);
        run.Complete();

        Assert.Contains("over", Assert.Throws<InvalidOperationException>(run.Complete).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_without_layers_to_choose_for_is_an_error()
    {
        using var model = new OpenBlock();
        model.Quantize(new Int8WeightOnlyConfig());

        string message = Assert.Throws<QuantizationException>(() => model.PrepareAutoQuantize()).Message;

        Assert.Contains("OpenBlock: there is no Linear in floating point", message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_candidate_and_a_candidate_twice_are_errors()
    {
        using var model = new OpenBlock();

        Assert.Contains("is empty", Message(new() { Candidates = [] }), StringComparison.Ordinal);
        Assert.Contains(
            "candidates 1 and 2 are both int8_weight_only",
            Message(new() { Candidates = [new Int8WeightOnlyConfig(), new Int8WeightOnlyConfig()] }), StringComparison.Ordinal);
        AssertRuns(model);

        string Message(AutoQuantOptions options) => Assert.Throws<ArgumentException>(() => model.PrepareAutoQuantize(options)).Message;
    }

    [Fact]
    public void A_file_of_measurements_that_is_none_is_left_alone()
    {
        using var model = new OpenBlock();
        using var folder = new TemporaryFolder();
        string path = folder.File("notes.txt");
        File.WriteAllText(path, "milk\nbread\n");
        using Tensor input = rand(1, 64);

        string message = Assert.Throws<InvalidDataException>(() => model.AutoQuantize(input, new() { CachePath = path })).Message;

        Assert.Contains($"{path}, line 1: expected '# TorchAO tuning table 1", message, StringComparison.Ordinal);
        Assert.Equal("milk\nbread\n", File.ReadAllText(path));
        Assert.IsType<Linear>(model.Up);
    }

    [Fact]
    public void A_weight_that_is_not_finite_is_an_error_that_names_layer_and_candidate()
    {
        using var model = new OpenBlock();
        using (no_grad())
        {
            ((Linear)model.Up).weight!.fill_(float.NaN);
        }

        using Tensor input = rand(1, 64);
        string message = Assert.Throws<QuantizationException>(
            () => model.AutoQuantize(input, new() { Candidates = [new Int4WeightOnlyConfig { GroupSize = 32 }] })).Message;

        Assert.Contains("module 'up' could not be quantized by int4_weight_only(group_size=32)", message, StringComparison.Ordinal);
        Assert.IsType<Linear>(model.Up);
    }

    [Fact]
    public void A_cancelled_run_leaves_the_model_as_it_was()
    {
        using var model = new OpenBlock();
        using Tensor input = rand(1, 64);

        Assert.Throws<OperationCanceledException>(() => model.AutoQuantize(input, new() { CancellationToken = new(canceled: true) }));

        Assert.IsType<Linear>(model.Up);
        AssertRuns(model);
    }

    [Fact]
    public void Options_out_of_range_say_what_is_expected()
    {
        Assert.Contains("expected decibels", Assert.Throws<ArgumentException>(
            () => new AutoQuantOptions { MinimumSqnr = double.NaN }).Message, StringComparison.Ordinal);
        Assert.Contains("at least 0", Assert.Throws<ArgumentException>(() => new AutoQuantOptions { TieMargin = -1 }).Message, StringComparison.Ordinal);
        Assert.Contains("positive time", Assert.Throws<ArgumentException>(
            () => new AutoQuantOptions { MeasuringTime = TimeSpan.Zero }).Message, StringComparison.Ordinal);
    }

    private static void AssertRuns(nn.Module<Tensor, Tensor> model)
    {
        using Tensor input = rand(2, 64), output = model.forward(input);
        Assert.Equal([2, 32], output.shape);
    }
}
