using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Errors;

/// <summary>Layers that a config does not fit: no error, a row of the report with the reason.</summary>
internal static class SkippedLayers
{
    private const string Section = "Reasons in a report";

    private static readonly Int8WeightOnlyConfig Int8 = new();

    public static Mistake[] All { get; } =
    [
        New("A group does not divide the rows", () => nn.Linear(100, 8), new Int4WeightOnlyConfig { GroupSize = 32 }),
        New("A weight has another type", () => WithWeight(() => zeros(32, 64, dtype: ScalarType.Float64)), Int8),
        New("A weight has no numbers yet", () => nn.Linear(64, 32, device: META), Int8),
        New("A weight is empty", () => WithWeight(() => zeros(0, 64)), Int8),
        New("Attention multiplies inside libtorch", () => nn.MultiheadAttention(16, 2), Int8),
        New("A transformer layer multiplies inside libtorch", () => nn.TransformerEncoderLayer(16, 2, 32), Int8),
        New("A weight is no matrix", () => WithWeight(() => zeros(64)), Int8),
        New("A rule says skip", () => nn.Linear(64, 32), ModuleRules.Skip),
    ];

    private static Mistake New(string title, Func<nn.Module> create, QuantizeConfig config) => new(Section, title, () =>
    {
        using nn.Module model = create();
        LayerReport layer = Assert.Single(model.Explain(new ModuleRules { ["*"] = config }).Layers);
        Assert.False(layer.IsQuantized);
        return new Answer($"{layer.Outcome}", layer.Reason!);
    });

    private static Linear WithWeight(Func<Tensor> create)
    {
        Linear layer = nn.Linear(64, 32, hasBias: false);
        layer.weight = new Parameter(create(), requires_grad: false);
        return layer;
    }
}
