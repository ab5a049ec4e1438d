using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Tests.Lifecycle;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Mistakes in the search for the fastest format: each leaves the layer's parameters the same objects.</summary>
internal static class AutoQuantMistakes
{
    private const string Section = "Choosing by measurement";

    public static Mistake[] All { get; } =
    [
        New("The example inputs never reach a layer", (model, _) => model.AutoQuantize(() => { })),
        New("The filter leaves nothing to choose for", (model, input) => model.AutoQuantize(input, new() { Filter = (_, _) => false })),
        New("There is no candidate", (model, input) => model.AutoQuantize(input, new() { Candidates = [] })),
        New("A candidate stands twice", (model, input) => model.AutoQuantize(
            input, new() { Candidates = [new Int8WeightOnlyConfig(), new Int8WeightOnlyConfig()] })),
        New("A candidate is wrong in itself", (model, input) => model.AutoQuantize(
            input, new() { Candidates = [new Int4WeightOnlyConfig { GroupSize = -4 }] })),
        New("A weight to measure with is not finite", (model, input) =>
        {
            using (no_grad())
            {
                ((Linear)model.Up).weight!.fill_(float.NaN);
            }

            model.AutoQuantize(input, new() { Candidates = [new Int8WeightOnlyConfig()] });
        }),
    ];

    private static Mistake New(string title, Action<OpenBlock, Tensor> act) => new(Section, title, () =>
    {
        using var model = new OpenBlock();
        using Tensor input = ones(2, 64);
        var up = (Linear)model.Up;
        (Parameter weight, Parameter bias) = (up.weight!, up.bias!);

        Exception error = Assert.ThrowsAny<Exception>(() => act(model, input));

        Assert.True(error is QuantizationException or ArgumentException, $"{error.GetType().Name}: {error.Message}");
        Assert.Same(up, model.Up);
        Assert.Same(weight, up.weight);
        Assert.Same(bias, up.bias);
        return Answer.Of(error);
    });
}
