using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Modules;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Modules;

public sealed class QuantizedConvolutionTests
{
    private static readonly QuantizeOptions Convolutions = new() { Modules = ModuleKinds.Convolution };
    private static readonly QuantizeOptions Everything = new() { Modules = ModuleKinds.All };

    public static TheoryData<string> Layers => [.. ByName.Keys];

    private static readonly Dictionary<string, (Func<Convolution> Make, long[] Input)> ByName = new()
    {
        ["3x3"] = (() => nn.Conv2d(8, 12, 3, padding: 1), [2, 8, 9, 7]),
        ["stride 2, no bias"] = (() => nn.Conv2d(8, 12, 3, stride: 2, padding: 1, bias: false), [2, 8, 9, 8]),
        ["dilated, not square"] = (() => nn.Conv2d(8, 12, (3, 2), (1, 2), (2, 0), (2, 1)), [1, 8, 9, 8]),
        ["same padding"] = (() => nn.Conv2d(8, 12, 3L, padding: Padding.Same), [1, 8, 5, 5]),
        ["valid padding"] = (() => nn.Conv2d(8, 12, 3L, padding: Padding.Valid), [1, 8, 5, 5]),
        ["depthwise"] = (() => nn.Conv2d(8, 8, 3, padding: 1, groups: 8), [2, 8, 6, 6]),
        ["two groups"] = (() => nn.Conv2d(8, 12, 3, groups: 2), [2, 8, 6, 6]),
        ["pointwise"] = (() => nn.Conv2d(32, 12, 1), [2, 32, 5, 4]),
        ["pointwise, stride 2"] = (() => nn.Conv2d(32, 12, 1, stride: 2), [2, 32, 5, 4]),
        ["without a batch"] = (() => nn.Conv2d(8, 12, 3), [8, 6, 6]),
        ["one dimension"] = (() => nn.Conv1d(8, 12, 5, stride: 2, padding: 2, dilation: 2), [2, 8, 31]),
        ["one dimension, pointwise"] = (() => nn.Conv1d(32, 12, 1), [2, 32, 7]),
        ["one dimension, without a batch"] = (() => nn.Conv1d(8, 12, 3), [8, 10]),
    };

    [Theory]
    [MemberData(nameof(Layers))]
    public void A_weight_only_layer_convolves_by_its_dequantized_weight(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (Func<Convolution> make, long[] shape) = ByName[name];
        using Sequential model = Seeded(make);
        Tensor input = randn(shape);
        Tensor exact = model.forward(input);
        model.Quantize(new Int8WeightOnlyConfig(), Convolutions);
        var layer = Assert.IsType<QuantizedConvolution>(model[0]);
        using Convolution whole = layer.Dequantize();

        Tensor result = model.forward(input);

        Assert.Equal(exact.shape, result.shape);
        Assert.InRange(Error(whole.forward(input), result), 0, 1e-6);
        Assert.InRange(Error(exact, result), 1e-5, 0.02);
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public void A_layer_that_rounds_activations_rounds_each_window(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (Func<Convolution> make, long[] shape) = ByName[name];
        using Sequential model = Seeded(make);
        Tensor input = randn(shape);
        Tensor exact = model.forward(input);
        var rules = new ModuleRules { ["*"] = new Int8DynamicActivationInt8WeightConfig() };
        bool isGrouped = ((Convolution)model[0]).groups > 1;
        if (isGrouped || ((Convolution)model[0]).weight!.numel() / 12 <= 16)
        {
            string? reason = Assert.Single(model.Explain(rules, Convolutions).Skipped).Reason;
            Assert.Equal(isGrouped, reason!.Contains("groups, expected 1", StringComparison.Ordinal));
            return;
        }

        QuantizeReport report = model.Quantize(rules, Convolutions);
        var layer = Assert.IsType<QuantizedConvolution>(model[0]);
        Tensor result = model.forward(input);

        Assert.Contains("as a linear layer", Assert.Single(report.Layers).Kernel, StringComparison.Ordinal);
        Assert.Equal(exact.shape, result.shape);
        Assert.InRange(Error(exact, result), 1e-4, 0.03);
        Assert.InRange(Error(ByWindows(layer, input), result), 0, 1e-5);
    }

    [Fact]
    public void Gradients_reach_input_and_bias()
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (QuantizeConfig config in new QuantizeConfig[] { new Int8WeightOnlyConfig(), new Int8DynamicActivationInt8WeightConfig() })
        {
            using Sequential model = Seeded(() => nn.Conv2d(8, 12, 3, padding: 1));
            model.Quantize(config, Convolutions);
            using Convolution whole = ((QuantizedConvolution)model[0]).Dequantize();
            Tensor input = randn(1, 8, 5, 5, requires_grad: true);
            Tensor reference = input.detach().clone().requires_grad_(true);
            Tensor direction = randn(1, 12, 5, 5);

            (model.forward(input) * direction).sum().backward();
            (whole.forward(reference) * direction).sum().backward();

            Assert.InRange(Error(reference.grad!, input.grad!), 0, 1e-5);
            Assert.InRange(Error(whole.bias!.grad!, ((QuantizedConvolution)model[0]).Bias!.grad!), 0, 1e-5);
        }
    }

    [Fact]
    public void Convolutions_stay_in_floating_point_unless_asked_for()
    {
        using Sequential model = Network();
        QuantizeReport report = model.Quantize(new Int8WeightOnlyConfig());
        Assert.Equal(["head"], report.Layers.Select(layer => layer.Name));

        report = model.Quantize(new Int8WeightOnlyConfig(), Everything);
        Assert.Equal(
            [LayerOutcome.Swapped, LayerOutcome.Swapped, LayerOutcome.AlreadyQuantized], report.Layers.Select(layer => layer.Outcome));
        Assert.StartsWith("memory only", report.Layers[0].Kernel, StringComparison.Ordinal);
        Assert.StartsWith("as a linear layer", report.Layers[1].Kernel, StringComparison.Ordinal);
    }

    [Fact]
    public void Dequantizing_gives_ordinary_layers_back()
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = Network();
        long bytes = model.CountBytes();
        model.Quantize(new Int8WeightOnlyConfig(), Everything);
        Assert.InRange(model.CountBytes(), bytes / 5, bytes / 2);
        Tensor input = randn(1, 3, 8, 8);
        Tensor before = model.forward(input);

        Assert.Equal(["first", "second", "head"], model.Dequantize());

        Assert.Equal(typeof(Conv2d), model[0].GetType());
        Assert.InRange(Error(before, model.forward(input)), 0, 1e-6);
        Assert.Equal(bytes, model.CountBytes());
    }

    [Fact]
    public void A_checkpoint_brings_the_kernels_back()
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using Sequential model = Network();
        model.Quantize(
            new ModuleRules { ["second"] = new Int4WeightOnlyConfig { GroupSize = 32 }, ["*"] = new Float8WeightOnlyConfig() }, Everything);
        Tensor input = randn(1, 3, 8, 8);
        string path = Path.Combine(folder.Path, "model.safetensors");
        model.SaveQuantized(path, input);
        using Sequential fresh = Network();

        fresh.LoadQuantized(path);

        Assert.Equal("int4", ((QuantizedConvolution)fresh[1]).Weight.Format);
        Assert.True(fresh.forward(input).eq(model.forward(input)).all().item<bool>());
    }

    [Fact]
    public void A_float_checkpoint_is_quantized_while_it_is_read()
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using Sequential model = Network();
        using ITensorSource source = Write(model, Path.Combine(folder.Path, "model.safetensors"));
        using Sequential streamed = Network();
        streamed.QuantizeFrom(source, new ModuleRules { ["*"] = new Int8WeightOnlyConfig() }, Everything);
        model.Quantize(new Int8WeightOnlyConfig(), Everything);
        Tensor input = randn(1, 3, 8, 8);

        Assert.True(streamed.forward(input).eq(model.forward(input)).all().item<bool>());
    }

    [Fact]
    public void What_cannot_be_quantized_is_said()
    {
        using Sequential cases = nn.Sequential(
            ("transposed", (nn.Module<Tensor, Tensor>)nn.ConvTranspose2d(4, 4, 3)),
            ("volume", nn.Conv3d(4, 4, 3)),
            ("reflecting", nn.Conv2d(4, 4, 3, padding: 1, padding_mode: PaddingModes.Reflect)),
            ("uneven", nn.Conv2d(4, 4, 2L, padding: Padding.Same)));
        string?[] reasons = [.. cases.Explain(new Int8WeightOnlyConfig(), Convolutions).Skipped.Select(layer => layer.Reason)];
        Assert.Collection(
            reasons,
            reason => Assert.Contains("ConvTranspose2d has no quantized form", reason, StringComparison.Ordinal),
            reason => Assert.Contains("Conv3d has no quantized form", reason, StringComparison.Ordinal),
            reason => Assert.Contains("padding_mode is Reflect", reason, StringComparison.Ordinal),
            reason => Assert.Contains("even kernel", reason, StringComparison.Ordinal));
        using var typed = new TypedHolder();
        Assert.Contains(
            "admits no QuantizedConvolution; hold the layer in a place of type Module<Tensor, Tensor>",
            Assert.Single(typed.Explain(new Int8WeightOnlyConfig(), Convolutions).Skipped).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_input_is_named()
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = Seeded(() => nn.Conv2d(8, 12, 3));
        model.Quantize(new Int8WeightOnlyConfig(), Convolutions);
        Assert.Contains("expected [batch, 8, height, width]", Message(randn(1, 7, 5, 5)), StringComparison.Ordinal);
        Assert.Contains("the input is [8, 5]", Message(randn(8, 5)), StringComparison.Ordinal);
        Assert.Contains("smaller than the window", Message(randn(1, 8, 2, 5)), StringComparison.Ordinal);
        Assert.Contains("Int64", Message(zeros(1, 8, 5, 5, dtype: ScalarType.Int64)), StringComparison.Ordinal);

        string Message(Tensor input) => Assert.Throws<QuantizationException>(() => model.forward(input)).Message;
    }

    [Fact]
    public void Quantized_networks_leave_no_more_tensors_than_plain_ones()
    {
        Assert.Equal(Growth(_ => { }), Growth(model =>
        {
            model.Quantize(
                new ModuleRules { ["first"] = new Int8WeightOnlyConfig(), ["*"] = new Int8DynamicActivationInt8WeightConfig() }, Everything);
            model.forward(ones(1, 3, 8, 8)).Dispose();
        }));

        // TorchSharp's own count grows with each layer that its constructors make.
        static long Growth(Action<Sequential> use)
        {
            Round(use);
            long before = LiveTensors.Count();
            for (int i = 0; i < 50; i++)
            {
                Round(use);
            }

            return LiveTensors.Count() - before;
        }

        static void Round(Action<Sequential> use)
        {
            using DisposeScope scope = NewDisposeScope();
            using Sequential model = Network();
            use(model);
        }
    }

    // The rounding by hand: the windows of the input in rows, each one token.
    private static Tensor ByWindows(QuantizedConvolution layer, Tensor input)
    {
        ConvolutionGeometry g = layer.Geometry;
        bool isLine = g.Dimensions == 1;
        Tensor batch = input.dim() == g.Dimensions + 1 ? input.unsqueeze(0) : input;
        Tensor image = isLine ? batch.unsqueeze(2) : batch;
        Tensor columns = nn.functional.unfold(
            image,
            isLine ? (1, g.Kernel[0]) : (g.Kernel[0], g.Kernel[1]),
            dilation: isLine ? (1, g.Dilation[0]) : (g.Dilation[0], g.Dilation[1]),
            padding: isLine ? (0, g.Padding[0]) : (g.Padding[0], g.Padding[1]),
            stride: isLine ? (1, g.Stride[0]) : (g.Stride[0], g.Stride[1]));
        Tensor rows = layer.Activation!.Round(columns.transpose(1, 2));
        Tensor product = nn.functional.linear(rows, layer.Weight.Dequantize(), layer.Bias).transpose(1, 2);
        using Convolution whole = layer.Dequantize();
        return product.reshape(whole.forward(input).shape);
    }

    private static SafetensorsFile Write(nn.Module model, string path)
    {
        (string Name, Tensor Value)[] tensors = [.. model.named_parameters().Select(p => (p.name, p.parameter.detach()))];
        using (var writer = new SafetensorsWriter(path, tensors.Select(t => new TensorInfo(t.Name, t.Value.dtype, t.Value.shape))))
        {
            foreach ((string name, Tensor value) in tensors)
            {
                writer.Write(name, value);
            }

            writer.Commit();
        }

        return SafetensorsFile.Open(path);
    }

    private static double Error(Tensor exact, Tensor got) =>
        ((exact - got).norm().item<float>()) / exact.norm().item<float>();

    private static Sequential Seeded(Func<Convolution> make)
    {
        random.manual_seed(3);
        return nn.Sequential(("layer", (nn.Module<Tensor, Tensor>)make()));
    }

    private static Sequential Network()
    {
        random.manual_seed(5);
        return nn.Sequential(
            ("first", (nn.Module<Tensor, Tensor>)nn.Conv2d(3, 32, 3, padding: 1)),
            ("second", nn.Conv2d(32, 64, 1)),
            ("pool", nn.AdaptiveAvgPool2d(1)),
            ("flat", nn.Flatten()),
            ("head", nn.Linear(64, 10)));
    }

    private sealed class TypedHolder : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d layer = nn.Conv2d(4, 4, 3);

        public TypedHolder()
            : base(nameof(TypedHolder)) => RegisterComponents();

        public override Tensor forward(Tensor input) => layer.forward(input);
    }
}
