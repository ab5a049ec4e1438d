using TorchAO.Checkpoints;
using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Formats.UIntX;
using TorchAO.Lifecycle;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Modules;

public sealed class QuantizedEmbeddingTests
{
    private static readonly QuantizeOptions Both = new() { Modules = ModuleKinds.Linear | ModuleKinds.Embedding };
    private static readonly QuantizeOptions Tables = new() { Modules = ModuleKinds.Embedding };

    public static TheoryData<string> Configs => [.. ByName.Keys];

    private static readonly Dictionary<string, QuantizeConfig> ByName = new()
    {
        ["int8"] = new Int8WeightOnlyConfig(),
        ["int8 groups"] = new Int8WeightOnlyConfig { GroupSize = 32 },
        ["int4"] = new Int4WeightOnlyConfig { GroupSize = 32 },
        ["uint3"] = new UIntXWeightOnlyConfig { DType = QuantizedType.Named("uint3"), GroupSize = 32 },
        ["float8"] = new Float8WeightOnlyConfig(),
    };

    [Theory]
    [MemberData(nameof(Configs))]
    public void Rows_are_those_of_the_dequantized_table_bit_for_bit(string config)
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = Model();
        Tensor before = ((Embedding)model[0]).weight!.detach().clone();
        model.Quantize(ByName[config], Tables);
        var table = Assert.IsType<QuantizedEmbedding>(model[0]);
        Tensor input = tensor(new long[] { 3, 0, 39, 3, 17, 1 }).reshape(2, 3);

        Tensor rows = table.forward(input);

        Tensor whole = table.Weight.Dequantize();
        Assert.Equal([2, 3, 64], rows.shape);
        Assert.True(HaveSameValues(rows, whole[input]));
        Assert.True(HaveSameValues(rows, table.forward(input.to(ScalarType.Int32))));
        double error = (whole - before).norm().item<float>() / before.norm().item<float>();
        Assert.InRange(error, 1e-4, 0.3);
        Assert.Equal([0, 64], table.forward(empty(0, dtype: ScalarType.Int64)).shape);
    }

    [Fact]
    public void Embeddings_stay_in_floating_point_unless_asked_for()
    {
        using Sequential model = Model();
        QuantizeReport report = model.Quantize(new Int8WeightOnlyConfig());
        Assert.Equal(["head"], report.Layers.Select(layer => layer.Name));
        Assert.IsType<Embedding>(model[0]);

        report = model.Quantize(new Int8WeightOnlyConfig(), Both);
        Assert.Equal([LayerOutcome.Swapped, LayerOutcome.AlreadyQuantized], report.Layers.Select(layer => layer.Outcome));
        Assert.Contains("looked up", report.Layers[0].Kernel, StringComparison.Ordinal);
    }

    [Fact]
    public void Rules_give_a_table_its_own_config_and_dequantizing_gives_it_back()
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = Model();
        long bytes = model.CountBytes();
        var rules = new ModuleRules { ["table"] = new Int8WeightOnlyConfig(), ["*"] = new Int4WeightOnlyConfig { GroupSize = 32 } };
        model.Quantize(rules, Both);
        Assert.Equal("int8", ((QuantizedEmbedding)model[0]).Weight.Format);
        Assert.True(model.CountBytes() < bytes / 3);
        Tensor values = ((QuantizedEmbedding)model[0]).Weight.Dequantize();

        Assert.Equal(["table", "head"], model.Dequantize());

        Tensor restored = Assert.IsType<Embedding>(model[0]).weight!;
        Assert.True(HaveSameValues(restored, values));
        Assert.True(restored.requires_grad);
    }

    [Fact]
    public void A_tied_head_keeps_its_weight_when_the_table_is_quantized()
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = Model();
        var head = (Linear)model[1];
        head.weight = ((Embedding)model[0]).weight!;
        Tensor before = head.weight!.detach().clone();

        model.Quantize(new Int8WeightOnlyConfig(), Tables);

        Assert.IsType<QuantizedEmbedding>(model[0]);
        Assert.True(HaveSameValues(head.weight!, before));
        Assert.Equal([2, 40], model.forward(tensor(new long[] { 3, 4 })).shape);
    }

    [Fact]
    public void A_checkpoint_brings_the_rows_back()
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using Sequential model = Model();
        model.Quantize(new Int8WeightOnlyConfig(), Both);
        Tensor input = tensor(new long[] { 5, 39, 0 });
        string path = Path.Combine(folder.Path, "model.safetensors");
        model.SaveQuantized(path, input);
        using Sequential fresh = Model();

        LoadReport report = fresh.LoadQuantized(path);

        Assert.Equal(2, report.Quantized.Quantized.Count());
        Assert.IsType<QuantizedEmbedding>(fresh[0]);
        Assert.True(HaveSameValues(fresh.forward(input), model.forward(input)));
    }

    [Fact]
    public void What_does_not_fit_is_said()
    {
        using DisposeScope scope = NewDisposeScope();
        using Sequential model = Model();
        QuantizeReport report = model.Explain(new Int8DynamicActivationInt8WeightConfig(), Tables);
        Assert.Contains("rounds activations", Assert.Single(report.Skipped).Reason, StringComparison.Ordinal);
        Assert.Contains(
            "None", Assert.Throws<QuantizationException>(() => model.Explain(
                new Int8WeightOnlyConfig(), new QuantizeOptions { Modules = ModuleKinds.None })).Message, StringComparison.Ordinal);
        using var typed = new TypedHolder();
        Assert.Contains(
            "admits no QuantizedEmbedding", Assert.Single(typed.Explain(new Int8WeightOnlyConfig(), Tables).Skipped).Reason,
            StringComparison.Ordinal);

        model.Quantize(new Int8WeightOnlyConfig(), Tables);
        var table = (QuantizedEmbedding)model[0];
        Assert.Contains("got row 40, expected 0 to 39", Message(tensor(new long[] { 1, 40 })), StringComparison.Ordinal);
        Assert.Contains("got row -1", Message(tensor(new long[] { -1 })), StringComparison.Ordinal);
        Assert.Contains("Float32", Message(ones(1)), StringComparison.Ordinal);

        string Message(Tensor input) => Assert.Throws<QuantizationException>(() => table.forward(input)).Message;
    }

    private static bool HaveSameValues(Tensor a, Tensor b) =>
        a.dtype == b.dtype && a.shape.SequenceEqual(b.shape) && a.eq(b).all().item<bool>();

    private static Sequential Model() => nn.Sequential(("table", nn.Embedding(40, 64)), ("head", nn.Linear(64, 40)));

    private sealed class TypedHolder : nn.Module<Tensor, Tensor>
    {
        private readonly Embedding table = nn.Embedding(40, 64);

        public TypedHolder()
            : base(nameof(TypedHolder)) => RegisterComponents();

        public override Tensor forward(Tensor input) => table.forward(input);
    }
}
