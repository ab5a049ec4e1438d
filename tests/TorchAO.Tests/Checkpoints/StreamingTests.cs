using TorchAO.Checkpoints;
using TorchAO.Checkpoints.Safetensors;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints;

/// <summary>Weights that pass through one at a time give what quantizing in memory gives.</summary>
public sealed class StreamingTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Streaming_gives_the_codes_and_the_report_of_quantizing_in_memory(bool onMeta)
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original);
        QuantizeReport expected = original.Quantize(MixedModel.Rules);

        using var streamed = new MixedModel(onMeta ? META : null);
        QuantizeReport got = streamed.QuantizeFrom(source, MixedModel.Rules);

        Assert.Equal(expected.Layers, got.Layers);
        using Tensor ids = MixedModel.Ids();
        SaveLoadTests.AssertSameBits(original, streamed, ids);
    }

    [Fact]
    public void Float_weights_load_into_a_model_on_meta()
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original);
        using var loaded = new MixedModel(META);
        loaded.LoadWeights(source);

        using Tensor ids = MixedModel.Ids();
        SaveLoadTests.AssertSameBits(original, loaded, ids);
    }

    [Fact]
    public void The_model_decides_the_type_of_floating_point_weights()
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original);
        using var loaded = new MixedModel(META, ScalarType.BFloat16);
        loaded.LoadWeights(source);

        foreach ((StateEntry expected, StateEntry got) in ModelState.Of(original).Entries.Zip(ModelState.Of(loaded).Entries))
        {
            bool isFloat = expected.Value.dtype == ScalarType.Float32;
            Assert.Equal(isFloat ? ScalarType.BFloat16 : ScalarType.Int64, got.Value.dtype);
            using Tensor converted = expected.Value.to(got.Value.dtype);
            Assert.True(converted.equal(got.Value).all().item<bool>(), got.Name);
        }
    }

    [Fact]
    public void A_tied_layer_that_is_quantized_finds_its_weight_under_the_other_name()
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original); // holds tokens.weight and no head.weight
        original.Quantize(new Int8WeightOnlyConfig());
        using var streamed = new MixedModel(META);
        QuantizeReport report = streamed.QuantizeFrom(source, new Int8WeightOnlyConfig());

        Assert.Contains("tied to tokens", report.Layers.Single(layer => layer.Name == "head").Reason, StringComparison.Ordinal);
        using Tensor ids = MixedModel.Ids();
        SaveLoadTests.AssertSameBits(original, streamed, ids);
    }

    [Fact]
    public void A_copy_on_the_meta_device_takes_the_scales_of_a_calibrated_one()
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original);
        using Tensor ids = MixedModel.Ids();
        var options = new QuantizeOptions { Calibration = original.Calibrate(ids) };
        original.Quantize(new Float8StaticActivationFloat8WeightConfig(), options);
        using var streamed = new MixedModel(META);

        QuantizeReport report = streamed.QuantizeFrom(source, new Float8StaticActivationFloat8WeightConfig(), options);

        Assert.Equal(options.Calibration!.Layers.Count, report.Changed.Count());
        SaveLoadTests.AssertSameBits(original, streamed, ids);
    }

    [Fact]
    public void Cancelling_leaves_the_model_as_it_was()
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original);
        using var stop = new CancellationTokenSource();
        using var model = new MixedModel(META);
        var seen = new List<string>();
        var options = new QuantizeOptions
        {
            CancellationToken = stop.Token,
            Progress = new Listener(layer =>
            {
                seen.Add(layer.Name);
                stop.Cancel();
            }),
        };

        Assert.ThrowsAny<OperationCanceledException>(() => model.QuantizeFrom(source, MixedModel.Rules, options));

        Assert.Equal(["typed"], seen);
        AssertUntouched(model);
    }

    [Fact]
    public void A_weight_that_is_not_finite_leaves_the_model_as_it_was()
    {
        using MixedModel original = MixedModel.Trained();
        using (no_grad())
        {
            original.named_parameters().Single(p => p.name == "open.weight").parameter.fill_(float.NaN);
        }

        using ITensorSource source = Write(original);
        using var model = new MixedModel(META);
        QuantizationException error = Assert.Throws<QuantizationException>(() => model.QuantizeFrom(source, MixedModel.Rules));

        Assert.Contains("module 'open' could not be quantized", error.Message, StringComparison.Ordinal);
        AssertUntouched(model);
    }

    [Fact]
    public void Rules_and_coverage_fail_as_in_memory()
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original);
        using var model = new MixedModel(META);
        var rules = new TorchAO.Configuration.ModuleRules { ["nothing*"] = new Int8WeightOnlyConfig() };
        string streamed = Assert.Throws<QuantizationException>(() => model.QuantizeFrom(source, rules)).Message;
        string inMemory = Assert.Throws<QuantizationException>(() => original.Quantize(rules)).Message;

        Assert.Equal(inMemory, streamed);
        Assert.Contains("the group size 48", Assert.Throws<QuantizationException>(
            () => model.QuantizeFrom(source, new Int4WeightOnlyConfig { GroupSize = 48 })).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("missing", CheckpointError.TensorNotFound, "list.0.weight")]
    [InlineData("surplus", CheckpointError.UnexpectedTensor, "surplus")]
    [InlineData("shape", CheckpointError.ShapeMismatch, "[64, 63]")]
    [InlineData("type", CheckpointError.DTypeMismatch, "I64")]
    public void Weights_of_another_model_are_refused_before_anything_is_read(string lie, CheckpointError error, string said)
    {
        using MixedModel original = MixedModel.Trained();
        using ITensorSource source = Write(original, tensors =>
        {
            switch (lie)
            {
                case "missing":
                    tensors.Remove("list.0.weight");
                    break;
                case "surplus":
                    tensors["surplus"] = zeros(1);
                    break;
                case "shape":
                    tensors["list.0.weight"] = zeros(64, 63);
                    break;
                default:
                    tensors["list.0.weight"] = zeros(64, 64, ScalarType.Int64);
                    break;
            }
        });
        using var model = new MixedModel(META);
        CheckpointException quantizing = Assert.Throws<CheckpointException>(() => model.QuantizeFrom(source, MixedModel.Rules));
        CheckpointException loading = Assert.Throws<CheckpointException>(() => model.LoadWeights(source));

        Assert.Equal((error, error), (quantizing.Error, loading.Error));
        Assert.Contains(said, quantizing.Message, StringComparison.Ordinal);
        AssertUntouched(model);
    }

    [Fact]
    public void A_buffer_that_no_file_holds_cannot_stay_on_meta()
    {
        using var saved = new Tabled(CPU);
        using ITensorSource source = Write(saved);
        using var model = new Tabled(META);
        CheckpointException error = Assert.Throws<CheckpointException>(() => model.LoadWeights(source));
        Assert.Equal(CheckpointError.NoValues, error.Error);
        Assert.Contains("table", error.Message, StringComparison.Ordinal);
    }

    private static void AssertUntouched(nn.Module model)
    {
        ModelState state = ModelState.Of(model);
        Assert.Empty(state.Quantized);
        Assert.All(state.Entries, entry => Assert.True(entry.IsMeta, entry.Name));
    }

    private SafetensorsFile Write(nn.Module model, Action<Dictionary<string, Tensor>>? change = null)
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = ModelState.Tied(ModelState.Of(model).Entries.Where(entry => entry.IsPersistent))
            .ToDictionary(group => group[0].Name, group => group[0].Value);
        change?.Invoke(tensors);
        string path = folder.File($"{Guid.NewGuid()}.safetensors");
        using (var writer = new SafetensorsWriter(path, tensors.Select(t => new TensorInfo(t.Key, t.Value.dtype, t.Value.shape))))
        {
            foreach ((string name, Tensor tensor) in tensors)
            {
                writer.Write(name, tensor);
            }

            writer.Commit();
        }

        return SafetensorsFile.Open(path);
    }

    private sealed class Listener(Action<LayerReport> listen) : IProgress<LayerReport>
    {
        public void Report(LayerReport value) => listen(value);
    }

    /// <summary>A layer beside a table that it computes itself.</summary>
    private sealed class Tabled : nn.Module<Tensor, Tensor>
    {
        private readonly Linear up;

        public Tabled(Device device)
            : base(nameof(Tabled))
        {
            up = nn.Linear(64, 64, device: device);
            RegisterComponents();
            register_buffer("table", zeros(4, device: device), persistent: false);
        }

        public override Tensor forward(Tensor input) => up.call(input);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                up.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
