using System.Text.RegularExpressions;
using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Modules;
using TorchAO.Tests.Lifecycle;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Mistakes in a call of <c>Quantize</c>: each leaves every module, parameter and number of the model as it was.</summary>
internal static partial class ModelMistakes
{
    private const string Section = "Quantizing a model";

    private static readonly Int8WeightOnlyConfig Int8 = new();

    public static Mistake[] All { get; } =
    [
        New("The model has no linear layer", () => nn.Sequential(nn.ReLU()), model => model.Quantize(Int8)),
        New("The config fits no layer", () => new OpenBlock(), model => model.Quantize(new Int4WeightOnlyConfig { GroupSize = 48 })),
        New("Too few weights would be quantized", () => new Holders(), model => model.Quantize(
            Int8, new() { MinimumCoverage = 0.9, Filter = (name, _) => name is "open" or "typed" })),
        New("The filter leaves nothing", () => new OpenBlock(), model => model.Quantize(Int8, new() { Filter = (_, _) => false })),
        New("A rule matches no layer", () => new Holders(), model => model.Quantize(new ModuleRules { ["lists.0"] = Int8 })),
        New("A rule stands behind a wider one", () => new Holders(), model => model.Quantize(
            new ModuleRules { ["*"] = Int8, ["typed"] = ModuleRules.Skip })),
        New("There are no rules", () => new OpenBlock(), model => model.Quantize(new ModuleRules())),
        New("A rule stands twice", () => new OpenBlock(), model => model.Quantize(
            new ModuleRules { { "up", Int8 }, { "up", ModuleRules.Skip } })),
        New("A pattern is no regular expression", () => new OpenBlock(), model => model.Quantize(new ModuleRules { ["re:(up"] = Int8 })),
        New("A pattern is empty", () => new OpenBlock(), model => model.Quantize(new ModuleRules { [" "] = Int8 })),
        New("A layer is quantized in another format", Quantized, model => model.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 })),
        New("A layer is quantized with other options", Quantized, model => model.Quantize(new Int8WeightOnlyConfig { GroupSize = 32 })),
        New("A weight is not finite", NotFinite, model => model.Quantize(Int8)),
        New("A bias has another length than the weight has rows", WithLongBias, model => model.Quantize(Int8)),
        New("A device is not there", () => new Holders(), model => model.Quantize(
            Int8, new() { Device = new Device(DeviceType.CUDA, 99) })),
        New("A device cannot compute", () => new Holders(), model => model.Quantize(Int8, new() { Device = META })),
        New("A config comes from a format that is not registered", () => new OpenBlock(), model => model.Quantize(new StrangeConfig())),
        new(Section, "The model was disposed", () =>
        {
            var model = new OpenBlock();
            model.Dispose();
            return Answer.Of(Assert.Throws<ObjectDisposedException>(() => model.Quantize(Int8)));
        }),
        New("The coverage is no share", () => new OpenBlock(), model => model.Quantize(Int8, new() { MinimumCoverage = 90 })),
        New("A field admits no floating-point layer", () => new QuantizedOnly(), model => model.Dequantize()),
    ];

    private static Mistake New(string title, Func<nn.Module> create, Action<nn.Module> act) => new(Section, title, () =>
    {
        using nn.Module model = create();
        nn.Module[] modules = [.. model.modules()];
        Parameter[] parameters = [.. model.parameters()];
        float[][] numbers = [.. parameters.Select(Numbers)];

        Exception error = Record.Exception(() => act(model)) ?? throw new InvalidOperationException($"no error: {title}");

        Assert.True(error is QuantizationException or ArgumentException, error.ToString());
        Assert.True(modules.SequenceEqual(model.modules(), ReferenceEqualityComparer.Instance), title);
        Assert.True(parameters.SequenceEqual(model.parameters(), ReferenceEqualityComparer.Instance), title);
        Assert.Equal(numbers, parameters.Select(Numbers));
        return new Answer(error.GetType().Name, Devices().Replace(error.Message, " on a machine without CUDA"));
    });

    private static float[] Numbers(Parameter parameter)
    {
        using DisposeScope scope = NewDisposeScope();
        return parameter.detach().to(ScalarType.Float32).data<float>().ToArray();
    }

    private static OpenBlock Quantized()
    {
        var model = new OpenBlock();
        model.Quantize(Int8);
        return model;
    }

    private static Holders NotFinite()
    {
        var model = new Holders();
        using IDisposable noGradient = no_grad();
        ((Linear)model.Property).weight!.index_put_(float.NaN, TensorIndex.Single(0), TensorIndex.Single(0));
        return model;
    }

    private static SealedBlock WithLongBias()
    {
        var model = new SealedBlock();
        model.Up.bias = new Parameter(zeros(5));
        return model;
    }

    // What can be chosen depends on the machine, and the page does not.
    [GeneratedRegex(@"( or cuda:0 to cuda:\d+|; libtorch sees no CUDA device here)")]
    private static partial Regex Devices();

    private sealed record StrangeConfig : QuantizeConfig;

    private sealed class QuantizedOnly : nn.Module
    {
        private readonly QuantizedLinear up = Layers.Int8();

        public QuantizedOnly()
            : base(nameof(QuantizedOnly)) => RegisterComponents();

        protected override void Dispose(bool disposing)
        {
            up.Dispose();
            base.Dispose(disposing);
        }
    }
}
