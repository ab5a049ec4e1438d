using TorchAO.Algorithms.AutoQuant;
using TorchAO.Configuration;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Modules;
using TorchAO.Runtime.Tuning;
using TorchAO.Tests.Lifecycle;
using TorchSharp;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Algorithms.AutoQuant;

/// <summary>Times come from a file that the test writes, so that a choice has one right answer on any machine.</summary>
public sealed class AutoQuantTests
{
    private const string Shape = "N=32 K=64 Float32 x Float32 bias";

    private static readonly QuantizeConfig[] Int8AndInt4 = [new Int8WeightOnlyConfig(), new Int4WeightOnlyConfig { GroupSize = 32 }];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Calls_are_counted_on_both_roads_past_the_hooks(bool isSealed)
    {
        using nn.Module<Tensor, Tensor> model = isSealed ? new SealedBlock() : new OpenBlock();
        using Tensor three = rand(3, 64), one = rand(64), batch = rand(2, 5, 64);

        AutoQuantReport report = model.AutoQuantize(() =>
        {
            foreach (Tensor input in new[] { three, one, batch, three })
            {
                model.forward(input).Dispose();
            }
        });

        Assert.Equal([new(1, 1), new(3, 2), new(10, 1)], report.Layers.Single().Calls);
    }

    [Fact]
    public void The_fastest_candidate_wins()
    {
        using var model = new OpenBlock();

        AutoQuantReport report = Choose(model, ("float", 3), ("int8_weight_only", 2), ("int4_weight_only(group_size=32)", 1));

        Assert.Equal("int4_weight_only(group_size=32)", report.Layers.Single().Choice!.Candidate);
        Assert.Equal(3, report.Layers.Single().Speedup);
        Assert.Equal("int4", ((QuantizedLinear)model.Up).Weight.Format);
        Assert.Equal(LayerOutcome.Swapped, report.Quantization!.Layers.Single().Outcome);
    }

    [Fact]
    public void A_layer_that_nothing_makes_faster_stays_the_same_object()
    {
        using var model = new SealedBlock();
        Parameter weight = model.Up.weight!;

        AutoQuantReport report = Choose(model, ("float", 1), ("int8_weight_only", 2), ("int4_weight_only(group_size=32)", 3));

        Assert.Equal("float", report.Layers.Single().Choice!.Candidate);
        Assert.Null(report.Quantization);
        Assert.Same(weight, model.Up.weight);
    }

    [Fact]
    public void Of_candidates_that_are_as_fast_the_smallest_wins()
    {
        using var model = new OpenBlock();

        AutoQuantReport report = Choose(model, ("float", 1), ("int8_weight_only", 1.01), ("int4_weight_only(group_size=32)", 1.02));

        Assert.Equal("int4_weight_only(group_size=32)", report.Layers.Single().Choice!.Candidate);
    }

    [Fact]
    public void The_floor_keeps_out_what_loses_too_much()
    {
        using var model = new OpenBlock();

        AutoQuantReport report = Choose(
            model, new AutoQuantOptions { MinimumSqnr = 30 }, ("float", 3), ("int8_weight_only", 2), ("int4_weight_only(group_size=32)", 1));

        AutoQuantLayer layer = report.Layers.Single();
        Assert.Equal("int8_weight_only", layer.Choice!.Candidate);
        Assert.InRange(layer.Choice.SqnrDecibels!.Value, 30, 60);
        Assert.Contains("below the floor of 30.0 dB", layer.Timings[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_floor_that_nothing_keeps_leaves_the_layer()
    {
        using var model = new OpenBlock();

        AutoQuantReport report = Choose(
            model, new AutoQuantOptions { MinimumSqnr = 200 }, ("float", 3), ("int8_weight_only", 2), ("int4_weight_only(group_size=32)", 1));

        Assert.Null(report.Quantization);
        Assert.IsType<Linear>(model.Up);
    }

    [Fact]
    public void Each_count_of_rows_weighs_by_its_calls()
    {
        using var model = new OpenBlock();
        using var folder = new TemporaryFolder();
        string path = folder.File("times.txt");
        TuningTable table = Table();
        foreach ((long rows, double whole, double int8) in new[] { (1L, 2.0, 1.0), (8L, 4.0, 6.0) })
        {
            table.Set(LayerDecision.Problem(rows, Shape), "float", whole);
            table.Set(LayerDecision.Problem(rows, Shape), "int8_weight_only", int8);
        }

        table.Save(path);
        using Tensor one = rand(1, 64), eight = rand(8, 64);
        using AutoQuantRun run = model.PrepareAutoQuantize(new() { Candidates = [new Int8WeightOnlyConfig()], CachePath = path });
        for (int i = 0; i < 3; i++)
        {
            model.forward(one).Dispose();
        }

        model.forward(eight).Dispose();
        AutoQuantLayer layer = run.Complete().Layers.Single();

        Assert.Equal([(3 * 1.0 + 6) / 4, (3 * 2.0 + 4) / 4], layer.Timings.Select(timing => timing.Milliseconds!.Value));
        Assert.Equal("int8_weight_only", layer.Choice!.Candidate);
    }

    [Fact]
    public void The_rules_give_another_copy_the_same_bits()
    {
        using var model = new OpenBlock();
        using var copy = new OpenBlock();
        copy.load_state_dict(model.state_dict());
        using Tensor input = rand(4, 64);

        AutoQuantReport report = Choose(model, ("float", 3), ("int8_weight_only", 1), ("int4_weight_only(group_size=32)", 2));
        copy.Quantize(report.Rules);

        using Tensor got = model.forward(input), expected = copy.forward(input);
        Assert.True(got.allclose(expected, rtol: 0, atol: 0));
    }

    [Fact]
    public void A_candidate_that_does_not_fit_says_why()
    {
        using Sequential model = nn.Sequential(nn.Linear(100, 8));
        using Tensor input = rand(1, 100);

        AutoQuantReport report = model.AutoQuantize(input, new() { Candidates = Int8AndInt4 });

        AutoQuantTiming refused = report.Layers.Single().Timings[^1];
        Assert.Equal(("int4_weight_only(group_size=32)", null), (refused.Candidate, refused.Milliseconds));
        Assert.Contains("in_features 100", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_type_that_no_format_takes_leaves_the_layer_as_it_is()
    {
        using nn.Module<Tensor, Tensor> model = nn.Sequential(nn.Linear(64, 32)).to(ScalarType.Float64);
        using Tensor input = rand(2, 64, dtype: ScalarType.Float64);

        AutoQuantReport report = model.AutoQuantize(input, new() { Candidates = Int8AndInt4 });

        Assert.Null(report.Quantization);
        Assert.All(report.Layers.Single().Timings.Skip(1), timing => Assert.Contains("the weight is Float64", timing.Reason, StringComparison.Ordinal));
    }

    [Fact]
    public void What_was_measured_is_not_measured_again()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("times.txt");
        using Tensor input = rand(2, 64);
        using (var model = new OpenBlock())
        {
            model.AutoQuantize(input, new() { CachePath = path });
        }

        string first = File.ReadAllText(path);
        using (var model = new OpenBlock())
        {
            model.AutoQuantize(input, new() { CachePath = path });
        }

        Assert.Equal(3, TuningTable.Load(path, LayerDecision.Machine(CPU, isCold: false)).Count);
        Assert.Equal(first, File.ReadAllText(path));
    }

    [Fact]
    public void Every_list_measures_on_a_layer_of_each_type()
    {
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using nn.Module<Tensor, Tensor> model = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64)).to(type);
            using Tensor input = rand(3, 256, dtype: type);

            AutoQuantReport report = model.AutoQuantize(
                input, new() { Candidates = AutoQuantCandidates.All, MeasuringTime = TimeSpan.FromMilliseconds(1) });

            Assert.All(report.Layers, layer => Assert.Equal(AutoQuantCandidates.All.Count + 1, layer.Timings.Count(t => t.Milliseconds > 0)));
        }
    }

    [Fact]
    public void The_report_is_a_table_and_json()
    {
        using var model = new OpenBlock();

        AutoQuantReport report = Choose(model, ("float", 3), ("int8_weight_only", 2), ("int4_weight_only(group_size=32)", 1));

        string text = report.ToString();
        Assert.Contains("[32, 64] Float32, rows 4 (1x)", text, StringComparison.Ordinal);
        Assert.Contains("-> int4_weight_only(group_size=32): up", text, StringComparison.Ordinal);
        Assert.EndsWith("1 of 1 layers quantized, 0.008 MB -> 0.002 MB", text, StringComparison.Ordinal);
        Assert.Equal("int4_weight_only(group_size=32)", (string?)System.Text.Json.Nodes.JsonNode.Parse(report.ToJson())!["layers"]![0]!["choice"]);
    }

    [Fact]
    public void A_run_leaves_no_tensor()
    {
        using Tensor input = rand(2, 64);
        using (var warm = new OpenBlock())
        {
            warm.AutoQuantize(input, Fast);
        }

        long plain = Growth(() =>
        {
            using var model = new OpenBlock();
        });
        long measured = Growth(() =>
        {
            using var model = new OpenBlock();
            model.AutoQuantize(input, Fast);
        });

        Assert.Equal(plain, measured);

        static long Growth(Action cycle)
        {
            long before = LiveTensors.Count();
            for (int i = 0; i < 20; i++)
            {
                cycle();
            }

            return LiveTensors.Count() - before;
        }
    }

    private static AutoQuantOptions Fast => new() { MeasuringTime = TimeSpan.FromMilliseconds(0.1) };

    private static TuningTable Table() => new(LayerDecision.Machine(CPU, isCold: false));

    private static AutoQuantReport Choose(nn.Module<Tensor, Tensor> model, params (string Candidate, double Milliseconds)[] times) =>
        Choose(model, new(), times);

    private static AutoQuantReport Choose(
        nn.Module<Tensor, Tensor> model, AutoQuantOptions options, params (string Candidate, double Milliseconds)[] times)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("times.txt");
        TuningTable table = Table();
        foreach ((string candidate, double milliseconds) in times)
        {
            table.Set(LayerDecision.Problem(4, Shape), candidate, milliseconds);
        }

        table.Save(path);
        using Tensor input = rand(4, 64);
        return model.AutoQuantize(input, options with { Candidates = Int8AndInt4, CachePath = path });
    }
}
