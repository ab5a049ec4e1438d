using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Examples;

/// <summary>Ten spoken words by a depthwise-separable convolutional network (Zhang et al. 2017, arXiv:1711.07128), MLPerf Tiny's reference.</summary>
internal sealed class KeywordSpotting : IExample
{
    private const string Data = "keyword-spotting/test1000.safetensors";
    private const float Scale = 0.5847029f; // of the features, which the file has as int8
    private const float ZeroPoint = 83;

    public string Name => "keywords";

    public string Title => "Keyword spotting: DS-CNN of MLPerf Tiny, 1,000 clips of Speech Commands";

    public string MeasureName => "accuracy";

    public IReadOnlyList<(string Name, ModuleRules Rules)> Recipes =>
    [
        ("int8", ModuleRules.All(new Int8WeightOnlyConfig())),
        ("int8, activations too where channels mix", new ModuleRules
        {
            ["*pointwise"] = new Int8DynamicActivationInt8WeightConfig(),
            ["head"] = new Int8DynamicActivationInt8WeightConfig(),
            ["*"] = new Int8WeightOnlyConfig(),
        }),
        ("float8", ModuleRules.All(new Float8WeightOnlyConfig())),
        ("int4 where channels mix, int8 elsewhere", new ModuleRules
        {
            ["*pointwise"] = new Int4WeightOnlyConfig { GroupSize = 32 },
            ["*"] = new Int8WeightOnlyConfig(),
        }),
    ];

    public nn.Module<Tensor, Tensor> Load()
    {
        var network = new Network();
        ExampleFiles.Fill(network, "keyword-spotting/model.safetensors");
        return network;
    }

    public Tensor Inputs()
    {
        using Tensor codes = ExampleFiles.Read(Data, "features_int8");
        using Tensor features = (codes.to(ScalarType.Float32) - ZeroPoint) * Scale;
        return features.unsqueeze(1);
    }

    public double Measure(Tensor outputs) => ExampleFiles.Accuracy(outputs, Data);

    private sealed class Network : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> stem = nn.Conv2d(1, 64, (10, 4), (2, 2));
        private readonly TorchSharp.Modules.ModuleList<Block> blocks = nn.ModuleList([.. Enumerable.Range(0, 4).Select(_ => new Block())]);
        private readonly nn.Module<Tensor, Tensor> head = nn.Linear(64, 12);

        public Network()
            : base(nameof(Network)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();

            // "Same" padding of an even window has one more at one end.
            Tensor hidden = nn.functional.relu(stem.call(nn.functional.pad(input, [1, 1, 4, 5])));
            foreach (Block block in blocks)
            {
                hidden = block.call(hidden);
            }

            return head.call(hidden.mean([2, 3])).MoveToOuterDisposeScope();
        }
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> depthwise = nn.Conv2d(64, 64, 3, padding: 1, groups: 64);
        private readonly nn.Module<Tensor, Tensor> pointwise = nn.Conv2d(64, 64, 1);

        public Block()
            : base(nameof(Block)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor hidden = nn.functional.relu(depthwise.call(input));
            return nn.functional.relu(pointwise.call(hidden)).MoveToOuterDisposeScope();
        }
    }
}
