using TorchAO.Configuration;
using TorchAO.Formats.Half;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Peers;

/// <summary>This library, through the modules that <c>model.Quantize(config)</c> puts into a model.</summary>
internal sealed class OwnConfigs : IPeer
{
    /// <summary>The prefix of the names of our contestants.</summary>
    public const string Prefix = "TorchAO ";

    private static readonly (string Name, QuantizeConfig Config)[] Configs =
    [
        ("bfloat16 weight", new HalfWeightOnlyConfig()),
        ("int8", new Int8WeightOnlyConfig()),
        ("int4 g128", new Int4WeightOnlyConfig()),
        ("int4 g32", new Int4WeightOnlyConfig { GroupSize = 32 }),
        ("int4 symmetric g32", new Int4WeightOnlyConfig { GroupSize = 32, MappingType = MappingType.Symmetric }),
        ("W8A8", new Int8DynamicActivationInt8WeightConfig()),
        ("W4A8 g32", new Int8DynamicActivationInt4WeightConfig()),
        ("W4A8 g128", new Int8DynamicActivationInt4WeightConfig { GroupSize = 128 }),
    ];

    /// <inheritdoc/>
    public string Name => $"TorchAO for .NET {typeof(QuantizeConfig).Assembly.GetName().Version!.ToString(3)}";

    /// <inheritdoc/>
    public string? Absence => null;

    /// <inheritdoc/>
    public IEnumerable<Contestant> Enter(Tensor weight, int threads)
    {
        foreach ((string name, QuantizeConfig config) in Configs)
        {
            // A group that does not divide K leaves the layer alone: such a config has no product of this shape.
            Sequential?[] copies = [.. Enumerable.Range(0, Contestant.Copies).Select(_ => Quantize(weight, config))];
            if (copies[0] is not null)
            {
                yield return new LayerContestant(Prefix + name, copies!);
            }
        }
    }

    private static Sequential? Quantize(Tensor weight, QuantizeConfig config)
    {
        using IDisposable noGradient = no_grad();
        Linear linear = nn.Linear(weight.size(1), weight.size(0), hasBias: false);
        linear.weight.copy_(weight);
        Sequential model = nn.Sequential(("layer", linear));
        if (!model.Explain(config).Quantized.Any())
        {
            model.Dispose();
            return null;
        }

        model.Quantize(config);
        return model;
    }

    private sealed class LayerContestant : Contestant
    {
        private readonly Sequential[] models;
        private readonly QuantizedLinear[] copies;
        private Tensor? input;

        public LayerContestant(string name, Sequential[] models)
            : this(name, models, [.. models.Select(model => (QuantizedLinear)model.children().Single())])
        {
        }

        private LayerContestant(string name, Sequential[] models, QuantizedLinear[] copies)
            : base(
                name,
                copies[0].Activation is null ? Arithmetic.FloatActivations : Arithmetic.Int8Activations,
                copies[0].Weight.Bytes)
        {
            this.models = models;
            this.copies = copies;
        }

        public override void Prepare(Tensor activations)
        {
            input?.Dispose();
            input = activations.clone().DetachFromDisposeScope();
        }

        public override void Multiply(int copy) => copies[copy].forward(input!).Dispose();

        public override Tensor Result() => copies[0].forward(input!);

        public override void Dispose()
        {
            input?.Dispose();
            foreach (Sequential model in models)
            {
                model.Dispose();
            }
        }
    }
}
