using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Tests.Lifecycle;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints;

public sealed class SaveLoadTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Target => folder.File("model.safetensors");

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(false, ScalarType.Float32)]
    [InlineData(true, ScalarType.Float32)]
    [InlineData(false, ScalarType.BFloat16)]
    [InlineData(true, ScalarType.BFloat16)]
    public void A_model_of_every_kind_of_module_comes_back_bit_for_bit(bool onMeta, ScalarType dtype)
    {
        using MixedModel saved = MixedModel.Trained(dtype: dtype);
        saved.Quantize(MixedModel.Rules);
        using Tensor ids = MixedModel.Ids();
        saved.SaveQuantized(Target, ids);

        using var loaded = new MixedModel(onMeta ? META : null, dtype);
        loaded.eval();
        LoadReport report = loaded.LoadQuantized(Target);

        Assert.Equal(0, report.ProbeDifference);
        AssertSameBits(saved, loaded, ids);
        Assert.Equal(
            ["typed InPlace int8", "open Swapped int8", "list.0 Swapped int8", "table.expert Swapped int4"],
            report.Quantized.Layers.Select(layer => $"{layer.Name} {layer.Outcome} {layer.Format}"));
        Assert.All(ModelState.Of(loaded).Entries, entry => Assert.False(entry.IsMeta, entry.Name));
    }

    [Fact]
    public void Statistics_of_a_batch_norm_come_back_with_their_count()
    {
        using MixedModel saved = MixedModel.Trained();
        saved.Quantize(MixedModel.Rules);
        saved.SaveQuantized(Target);
        using var loaded = new MixedModel(META);
        loaded.LoadQuantized(Target);

        Dictionary<string, Tensor> state = loaded.state_dict();
        Assert.Equal(1, state["batch.num_batches_tracked"].item<long>());
        Assert.True(state["batch.running_mean"].equal(saved.state_dict()["batch.running_mean"]).all().item<bool>());
    }

    [Fact]
    public void Both_roads_of_a_layer_give_the_same_file()
    {
        random.manual_seed(4);
        using var open = new OpenBlock();
        using var @sealed = new SealedBlock();
        using (no_grad())
        {
            @sealed.Up.weight!.copy_(((Linear)open.Up).weight!);
            @sealed.Up.bias!.copy_(((Linear)open.Up).bias!);
        }

        using Tensor probe = randn(3, 64);
        Assert.Equal(LayerOutcome.Swapped, open.Quantize(new Int8WeightOnlyConfig()).Layers[0].Outcome);
        Assert.Equal(LayerOutcome.InPlace, @sealed.Quantize(new Int8WeightOnlyConfig()).Layers[0].Outcome);
        open.SaveQuantized(Target, probe);
        @sealed.SaveQuantized(folder.File("sealed"), probe);

        Assert.Equal(File.ReadAllBytes(Target), File.ReadAllBytes(folder.File("sealed")));
    }

    [Fact]
    public void A_loaded_model_saves_the_same_file_again()
    {
        using MixedModel saved = MixedModel.Trained();
        saved.Quantize(MixedModel.Rules);
        using Tensor ids = MixedModel.Ids();
        saved.SaveQuantized(Target, ids);
        using var loaded = new MixedModel(META);
        loaded.LoadQuantized(Target);
        loaded.SaveQuantized(folder.File("again"), ids);

        Assert.Equal(File.ReadAllBytes(Target), File.ReadAllBytes(folder.File("again")));
    }

    [Fact]
    public void Every_holder_of_layers_comes_back()
    {
        using var saved = new Holders();
        saved.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 });
        using Tensor x = randn(2, 64);
        saved.SaveQuantized(Target, x);

        using var loaded = new Holders();
        LoadReport report = loaded.LoadQuantized(Target);

        Assert.Equal(8, report.Quantized.Changed.Count());
        Assert.True(loaded.SharesOpen);
        AssertSameBits(saved, loaded, x);
    }

    [Fact]
    public void A_root_that_is_a_layer_has_the_plain_names()
    {
        using Linear saved = nn.Linear(64, 8);
        saved.Quantize(new Int8WeightOnlyConfig());
        using Tensor x = randn(2, 64);
        saved.SaveQuantized(Target, x);
        using Linear loaded = nn.Linear(64, 8, device: META);
        loaded.LoadQuantized(Target);

        AssertSameBits(saved, loaded, x);
        using var file = SafetensorsFile.Open(Target);
        Assert.Equal(
            ["bias", "torchao.probe.input", "torchao.probe.output", "weight.qdata", "weight.scale"],
            file.Entries.Select(entry => entry.Name).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Tied_weights_stand_in_the_file_once_and_stay_tied(bool onMeta)
    {
        using MixedModel saved = MixedModel.Trained();
        saved.Quantize(MixedModel.Rules);
        saved.SaveQuantized(Target);
        using (var file = SafetensorsFile.Open(Target))
        {
            Assert.True(file.Contains("tokens.weight"));
            Assert.False(file.Contains("head.weight"));
        }

        using var loaded = new MixedModel(onMeta ? META : null);
        loaded.LoadQuantized(Target);
        using Tensor ids = MixedModel.Ids();
        using (no_grad())
        {
            loaded.named_parameters().Single(p => p.name == "tokens.weight").parameter.mul_(2);
            saved.named_parameters().Single(p => p.name == "tokens.weight").parameter.mul_(2);
        }

        AssertSameBits(saved, loaded, ids);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_tied_head_that_was_quantized_leaves_the_embedding_in_floating_point(bool onMeta)
    {
        random.manual_seed(2);
        using Sequential saved = Tied(CPU);
        saved.Quantize(new Int8WeightOnlyConfig());
        using Tensor ids = arange(6, ScalarType.Int64);
        saved.SaveQuantized(Target, ids);

        using Sequential loaded = Tied(onMeta ? META : CPU);
        Assert.Equal(0, loaded.LoadQuantized(Target).ProbeDifference);
        AssertSameBits(saved, loaded, ids);

        static Sequential Tied(Device device)
        {
            Embedding tokens = nn.Embedding(32, 64, device: device);
            Linear head = nn.Linear(64, 32, hasBias: false, device: device);
            head.weight = tokens.weight!;
            return nn.Sequential(("tokens", tokens), ("head", head));
        }
    }

    [Fact]
    public void Layers_that_round_activations_do_so_again()
    {
        using Sequential saved = nn.Sequential(("up", nn.Linear(64, 64)), ("down", nn.Linear(64, 8)));
        saved.Quantize(new Int8DynamicActivationInt8WeightConfig());
        using Tensor x = randn(3, 64);
        saved.SaveQuantized(Target, x);
        using Sequential loaded = nn.Sequential(("up", nn.Linear(64, 64)), ("down", nn.Linear(64, 8)));

        Assert.Equal(0, loaded.LoadQuantized(Target).ProbeDifference);
        Assert.Contains("int8 per token", loaded.Explain(new Int8DynamicActivationInt8WeightConfig()).Layers[0].Kernel, StringComparison.Ordinal);
        Assert.Equal("int8 per token", QuantizedCheckpoint.Describe(Target).Weights[0].Activation);
        AssertSameBits(saved, loaded, x);
    }

    [Fact]
    public void Parameters_keep_whether_they_are_trained()
    {
        using MixedModel saved = MixedModel.Trained();
        saved.Quantize(MixedModel.Rules);
        saved.SaveQuantized(Target);
        using var loaded = new MixedModel(META);
        foreach ((string name, Parameter parameter) in loaded.named_parameters())
        {
            parameter.requires_grad = name == "gain";
        }

        loaded.LoadQuantized(Target);

        Assert.Equal(["gain"], loaded.named_parameters().Where(p => p.parameter.requires_grad).Select(p => p.name));
    }

    [Fact]
    public void The_probe_leaves_the_modes_of_modules_as_they_were()
    {
        using MixedModel model = MixedModel.Trained();
        model.Quantize(MixedModel.Rules);
        model.train();
        model.named_children().Single(child => child.name == "batch").module.eval();
        using Tensor ids = MixedModel.Ids();
        model.SaveQuantized(Target, ids);

        Assert.True(model.training);
        Assert.Equal(["batch"], model.named_children().Where(child => !child.module.training).Select(child => child.name));
    }

    [Fact]
    public void Modules_inside_libtorch_come_back_into_a_real_model_and_are_refused_on_meta()
    {
        random.manual_seed(3);
        using var saved = new Recurrent(CPU);
        saved.Quantize(new Int8WeightOnlyConfig());
        using Tensor x = randn(5, 2, 64);
        saved.SaveQuantized(Target, x);

        using var loaded = new Recurrent(CPU);
        loaded.LoadQuantized(Target);
        AssertSameBits(saved, loaded, x);

        using var empty = new Recurrent(META);
        CheckpointException error = Assert.Throws<CheckpointException>(() => empty.LoadQuantized(Target));
        Assert.Equal(CheckpointError.NoValues, error.Error);
        Assert.Contains("LSTM", error.Message, StringComparison.Ordinal);
    }

    // The resident set, not the count of tensors: modules of other tests that wait for their finalizers change that count.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Saving_and_loading_give_the_memory_back_with_the_model(bool isSwapped)
    {
        const long Width = 1024;
        using Tensor x = ones(1, Width);
        Repeat(20);
        long before = Environment.WorkingSet;
        Repeat(100); // a megabyte of codes each, twice
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 40_000_000);

        void Repeat(int cycles)
        {
            for (int i = 0; i < cycles; i++)
            {
                if (i == 0)
                {
                    using nn.Module<Tensor, Tensor> saved = Build(CPU);
                    saved.Quantize(new Int8WeightOnlyConfig());
                    saved.SaveQuantized(Target, x);
                }

                using nn.Module<Tensor, Tensor> model = Build(META);
                model.LoadQuantized(Target);
                model.SaveQuantized(folder.File("again"), x);
            }
        }

        nn.Module<Tensor, Tensor> Build(Device device) => isSwapped
            ? nn.Sequential(("up", nn.Linear(Width, Width, device: device)))
            : nn.Linear(Width, Width, device: device);
    }

    internal static void AssertSameBits(nn.Module<Tensor, Tensor> expected, nn.Module<Tensor, Tensor> got, Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        expected.eval();
        got.eval();
        Tensor a = expected.forward(input);
        Tensor b = got.forward(input);
        Assert.Equal(a.dtype, b.dtype);
        Assert.True(a.bytes.SequenceEqual(b.bytes));
        Assert.True(a.abs().sum().to(ScalarType.Float32).item<float>() > 0);
    }

    /// <summary>A module that computes inside libtorch, before a layer.</summary>
    private sealed class Recurrent : nn.Module<Tensor, Tensor>
    {
        private readonly LSTM lstm;
        private readonly nn.Module<Tensor, Tensor> up;

        public Recurrent(Device device)
            : base(nameof(Recurrent))
        {
            lstm = nn.LSTM(64, 64, device: device);
            up = nn.Linear(64, 8, device: device);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            return up.call(lstm.call(input).Item1).MoveToOuterDisposeScope();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                lstm.Dispose();
                up.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
