using TorchAO.Formats.Float8;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Tests.Lifecycle;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Mistakes in a calibration, and with its result: each leaves the layer's parameters the same objects.</summary>
internal static class CalibrationMistakes
{
    private const string Section = "Calibrating";

    private static readonly Float8StaticActivationFloat8WeightConfig Static = new();

    public static Mistake[] All { get; } =
    [
        New("The run never reaches a layer", (model, _) => model.Calibrate(() => { })),
        New("The filter leaves nothing to watch", (model, input) => model.Calibrate(input, new() { Filter = (_, _) => false })),
        New("An input is not finite", (model, input) =>
        {
            using Tensor endless = input * float.PositiveInfinity;
            model.Calibrate(endless);
        }),
        New("A model is watched twice at once", (model, _) =>
        {
            using CalibrationRun first = model.PrepareCalibration();
            model.PrepareCalibration();
        }),
        New("A scale is neither given nor measured", (model, _) => model.Quantize(Static)),
        New("A layer saw zeros alone", (model, _) =>
        {
            using Tensor silence = zeros(2, 64);
            model.Quantize(Static, new() { Calibration = model.Calibrate(silence) });
        }),
        New("A layer was not calibrated", (model, _) => model.Quantize(
            Static, new() { Calibration = new([new CalibratedLayer("model.up", -1, 1, 1, 1)]) })),
        New("No config takes a scale from the calibration", (model, input) => model.Quantize(
            new Int8WeightOnlyConfig(), new() { Calibration = model.Calibrate(input) })),
    ];

    private static Mistake New(string title, Action<OpenBlock, Tensor> act) => new(Section, title, () =>
    {
        using var model = new OpenBlock();
        using Tensor input = ones(2, 64);
        var up = (Linear)model.Up;
        (Parameter weight, Parameter bias) = (up.weight!, up.bias!);

        QuantizationException error = Assert.Throws<QuantizationException>(() => act(model, input));

        Assert.Same(up, model.Up);
        Assert.Same(weight, up.weight);
        Assert.Same(bias, up.bias);
        return Answer.Of(error);
    });
}
