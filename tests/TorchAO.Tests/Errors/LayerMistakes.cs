using TorchAO.Formats.Int8;
using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Tensors;
using TorchAO.Tests.Lifecycle;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Mistakes with a layer or a weight that is quantized already.</summary>
internal static class LayerMistakes
{
    private const string Section = "Quantized layers and weights";

    public static Mistake[] All { get; } =
    [
        Input("An input has another width", () => zeros(2, 63)),
        Input("An input is a scalar", () => zeros([])),
        Input("An input holds integers", () => zeros([2, 64], dtype: ScalarType.Int64)),
        Input("An input is on another device", () => zeros(2, 64, device: META)),
        InPlace("An input of a layer that was quantized in place has another width", () => zeros(2, 63)),
        InPlace("An input of a layer that was quantized in place holds integers", () => zeros([2, 64], dtype: ScalarType.Int64)),
        Layer("A layer is converted to complex numbers", layer => layer.to(ScalarType.ComplexFloat32)),
        new(Section, "A bias of another length is given to a layer", () =>
        {
            using LinearExecutor executor = Layers.Executor();
            using var bias = new Parameter(zeros(5));
            return Answer.Of(Assert.Throws<QuantizationException>(() => new QuantizedLinear(executor, bias)));
        }),
        new(Section, "A bias of another length is added", () =>
        {
            using LinearExecutor executor = Layers.Executor();
            using Tensor x = zeros(2, 64), bias = zeros(5);
            return Answer.Of(Assert.Throws<QuantizationException>(() => executor.Forward(x, bias)));
        }),
        Cut("A cut splits a group", 0, 48),
        Cut("A cut begins inside a byte", 3, 32),
    ];

    private static Mistake Input(string title, Func<Tensor> create) => Layer(title, layer =>
    {
        using Tensor x = create();
        layer.forward(x).Dispose();
    });

    private static Mistake InPlace(string title, Func<Tensor> create) => new(Section, title, () =>
    {
        using var model = new SealedBlock();
        model.Quantize(new Int8WeightOnlyConfig());
        using Tensor x = create();
        return Answer.Of(Assert.Throws<QuantizationException>(() => model.Up.call(x)));
    });

    private static Mistake Layer(string title, Action<QuantizedLinear> act) => new(Section, title, () =>
    {
        using QuantizedLinear layer = Layers.Int8();
        Exception error = Record.Exception(() => act(layer)) ?? throw new InvalidOperationException($"no error: {title}");
        Assert.True(error is QuantizationException or ArgumentException, error.ToString());

        // The layer goes on working.
        using Tensor x = zeros(1, 64);
        layer.forward(x).Dispose();
        return Answer.Of(error);
    });

    private static Mistake Cut(string title, long start, long length) => new(Section, title, () =>
    {
        using QuantizedTensor weight = Layers.Int4();
        return Answer.Of(Assert.Throws<QuantizationException>(() => weight.Narrow(1, start, length)));
    });
}
