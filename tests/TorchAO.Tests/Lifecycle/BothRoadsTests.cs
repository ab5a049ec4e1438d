using TorchAO.Configuration;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Modules;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

/// <summary>What a quantized model promises, whether its layer was swapped (open field) or kept (sealed field).</summary>
public sealed class BothRoadsTests
{
    private static readonly Int8WeightOnlyConfig Int8 = new();

    public static TheoryData<bool, long[], ScalarType> Inputs
    {
        get
        {
            var data = new TheoryData<bool, long[], ScalarType>();
            foreach (bool isSealed in new[] { false, true })
            {
                foreach (long[] shape in new long[][] { [64], [3, 64], [2, 3, 64], [2, 1, 3, 64], [0, 64], [2, 0, 64] })
                {
                    data.Add(isSealed, shape, ScalarType.Float32);
                    data.Add(isSealed, shape, ScalarType.BFloat16);
                    data.Add(isSealed, shape, ScalarType.Float16);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Inputs))]
    public void Inputs_of_any_rank_and_type_give_what_the_float_model_gave(bool isSealed, long[] shape, ScalarType type)
    {
        using nn.Module<Tensor, Tensor> model = Model(isSealed);
        using DisposeScope scope = NewDisposeScope();
        random.manual_seed(3);
        Tensor x = randn(shape, dtype: type), expected = model.forward(x.to(ScalarType.Float32));

        model.Quantize(Int8);
        Tensor actual = model.forward(x);

        Assert.Equal(type, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        Assert.True(actual.to(ScalarType.Float32).allclose(expected, rtol: 0.05, atol: 0.05), $"{isSealed} [{string.Join(',', shape)}] {type}");
    }

    [Theory]
    [InlineData(false, ScalarType.BFloat16)]
    [InlineData(false, ScalarType.Float16)]
    [InlineData(true, ScalarType.BFloat16)]
    [InlineData(true, ScalarType.Float16)]
    public void A_model_may_change_type_before_and_after(bool isSealed, ScalarType type)
    {
        using nn.Module<Tensor, Tensor> model = Model(isSealed), twin = Model(isSealed);
        using DisposeScope scope = NewDisposeScope();
        twin.load_state_dict(model.state_dict());
        Tensor x = randn(3, 64, dtype: type);

        model.to(type).Quantize(Int8);
        twin.Quantize(Int8);
        twin.to(type).to(CPU);

        Tensor expected = model.forward(x).to(ScalarType.Float32), actual = twin.forward(x).to(ScalarType.Float32);
        Assert.True(actual.allclose(expected, rtol: 0.05, atol: 0.05), $"{(actual - expected).abs().max().item<float>()}");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_bias_stays_the_same_parameter_there_and_back(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = Model(isSealed);
        Parameter before = model.named_parameters().Single(entry => entry.name == "up.bias").parameter;
        using Tensor values = before.detach().clone();

        model.Quantize(Int8);
        Assert.Same(before, model.named_parameters().Single(entry => entry.name == "up.bias").parameter);
        model.Dequantize();

        Assert.Same(before, model.named_parameters().Single(entry => entry.name == "up.bias").parameter);
        Assert.True(before.requires_grad);
        Assert.True(before.equal(values).all().item<bool>());
        Assert.Equal(["up.bias", "up.weight"], model.state_dict().Keys.Order());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_model_that_came_back_trains(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = Model(isSealed);
        using DisposeScope scope = NewDisposeScope();
        model.Quantize(Int8);
        model.Dequantize();

        model.forward(randn(3, 64)).sum().backward();

        Assert.All(model.parameters(), parameter => Assert.NotNull(parameter.grad));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Several_threads_may_call_one_model(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = Model(isSealed);
        model.Quantize(Int8);
        using Tensor x = randn(5, 64), row = randn(1, 64);
        using Tensor expected = model.forward(x).detach(), expectedRow = model.forward(row).detach();

        bool[] equal = await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            using DisposeScope scope = NewDisposeScope();
            return Enumerable.Range(0, 50).All(i => (thread + i) % 2 == 0
                ? model.forward(x).allclose(expected)
                : model.forward(row).allclose(expectedRow));
        })));

        Assert.All(equal, Assert.True);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_gradient_reaches_the_input_as_through_the_restored_weight(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = Model(isSealed);
        using DisposeScope scope = NewDisposeScope();
        using (no_grad())
        {
            model.Quantize(Int8);
        }

        Tensor x = randn(2, 3, 64, requires_grad: true), weights = randn(2, 3, 32);
        (model.forward(x) * weights).sum().backward();
        Tensor actual = x.grad!.clone();
        x.grad.zero_();
        model.Dequantize();
        (model.forward(x) * weights).sum().backward();

        Assert.True(actual.allclose(x.grad, rtol: 1e-3, atol: 1e-4));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Inference_mode_and_no_grad_record_nothing(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = Model(isSealed);
        using DisposeScope scope = NewDisposeScope();
        model.Quantize(Int8);
        Tensor x = randn(2, 64, requires_grad: true);
        using (no_grad())
        {
            Assert.False(model.forward(x).requires_grad);
        }

        using (inference_mode())
        {
            Assert.False(model.forward(x).requires_grad);
        }
    }

    [Fact]
    public void A_tied_weight_serves_all_its_layers_in_place_and_the_embedding_stays()
    {
        // Two products with the same rounding, each off by 0.05 (64 errors of a twelfth of a step): eight standard deviations.
        random.manual_seed(11);
        using var model = new SealedTiedModel();
        using DisposeScope scope = NewDisposeScope();
        Tensor ids = arange(0, 32, dtype: ScalarType.Int64), before = model.forward(ids);

        QuantizeReport report = model.Quantize(Int8);

        Assert.All(report.Layers, layer => Assert.Equal(LayerOutcome.InPlace, layer.Outcome));
        Assert.All(report.Layers, layer => Assert.Contains("tied to tokens.weight", layer.Reason, StringComparison.Ordinal));
        Assert.True(model.forward(ids).allclose(before, rtol: 0.1, atol: 0.8));
        Assert.Equal(2, model.Dequantize().Count);
        Assert.True(model.forward(ids).allclose(before, rtol: 0.1, atol: 0.8));
    }

    [Fact]
    public void Errors_are_measured_when_asked_for()
    {
        using var model = new Holders();
        Assert.All(model.Explain(Int8).Layers, layer => Assert.Null(layer.SignalToNoiseDecibels));

        QuantizeReport report = model.Quantize(Int8, new() { MeasureError = true });

        Assert.All(report.Layers, layer => Assert.InRange(layer.SignalToNoiseDecibels!.Value, 35, 60));
        string[] lines = report.ToString().Split('\n');
        Assert.Contains("SQNR dB", lines[0], StringComparison.Ordinal);
        Assert.Matches("^typed .* [345][0-9]\\.[0-9]  int8", lines.Single(line => line.StartsWith("typed", StringComparison.Ordinal)));
        Assert.DoesNotContain("SQNR", model.Explain(Int8).ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_error_or_a_cancellation_midway_leaves_the_model_as_it_was(bool isCancelled)
    {
        using var model = new Holders();
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(2, 64), before = model.forward(x);
        nn.Module[] modules = [.. model.modules()];
        Parameter[] parameters = [.. model.parameters()];
        using var source = new CancellationTokenSource();
        var options = new QuantizeOptions
        {
            CancellationToken = source.Token,
            Progress = new After(3, () =>
            {
                source.Cancel();
                if (!isCancelled)
                {
                    throw new InvalidOperationException("stop here");
                }
            }),
        };

        Exception error = Assert.ThrowsAny<Exception>(() => model.Quantize(Int8, options));

        Assert.IsType(isCancelled ? typeof(OperationCanceledException) : typeof(InvalidOperationException), error);
        Assert.True(modules.SequenceEqual(model.modules(), ReferenceEqualityComparer.Instance));
        Assert.True(parameters.SequenceEqual(model.parameters(), ReferenceEqualityComparer.Instance));
        Assert.True(model.forward(x).equal(before).all().item<bool>());
    }

    [Fact]
    public void A_filter_excludes_and_the_rest_is_quantized()
    {
        using var model = new Holders();

        QuantizeReport report = model.Quantize(Int8, new() { Filter = (name, _) => !name.StartsWith("list", StringComparison.Ordinal) });

        LayerReport excluded = Assert.Single(report.Layers, layer => layer.Outcome == LayerOutcome.Excluded);
        Assert.Equal(("list.0", "the filter excludes it"), (excluded.Name, excluded.Reason));
    }

    [Fact]
    public void A_rule_may_have_its_own_device()
    {
        using var model = new Holders();
        var rules = new ModuleRules();
        rules.Add("open", Int8, CPU);
        rules.Add("*", Int8, cuda.is_available() ? CUDA : null);

        model.Quantize(rules);

        foreach (LayerSite site in ModuleWalker.Find(model))
        {
            DeviceType expected = site.Name != "open" && cuda.is_available() ? DeviceType.CUDA : DeviceType.CPU;
            Assert.Equal(expected, site.Executor!.Weight.Device.type);
        }
    }

    [Fact]
    public void Nested_models_are_walked_with_full_names()
    {
        using Sequential model = nn.Sequential(
            ("outer", nn.Sequential(("inner", nn.Sequential(("up", nn.Linear(64, 32)))), ("act", nn.ReLU()))), ("head", nn.Linear(32, 8)));

        QuantizeReport report = model.Quantize(Int8);

        Assert.Equal(["outer.inner.up", "head"], report.Changed.Select(layer => layer.Name));
        Assert.Equal(2, model.modules().Count(module => module is QuantizedLinear));
    }

    private static nn.Module<Tensor, Tensor> Model(bool isSealed) => isSealed ? new SealedBlock() : new OpenBlock();

    private sealed class After(int count, Action action) : IProgress<LayerReport>
    {
        private int seen;

        public void Report(LayerReport value)
        {
            if (++seen == count)
            {
                action();
            }
        }
    }
}
