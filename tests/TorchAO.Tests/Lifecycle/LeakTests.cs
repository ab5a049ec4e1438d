using TorchAO.Configuration;
using TorchAO.Formats.Float8;
using TorchAO.Formats.Int4;
using TorchAO.Formats.Int8;
using TorchAO.Lifecycle;
using TorchAO.Tests.Contracts;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Lifecycle;

/// <summary>What a model leaves behind after its life, against the same model that was never quantized.</summary>
/// <remarks>
/// Against a plain model, not against zero: TorchSharp counts each tensor that became a parameter for ever, two for a plain
/// linear layer that was made and disposed.
/// </remarks>
public sealed class LeakTests
{
    private static readonly Int8WeightOnlyConfig Int8 = new();

    [Theory]
    [InlineData(false, 1000)]
    [InlineData(true, 1000)]
    public void Quantizing_leaves_no_tensor(bool isSealed, int cycles) =>
        AssertLeavesNothing(isSealed, cycles, model => model.Quantize(Int8));

    /// <summary>Each format, on both roads; the three that everything else builds on for as long as int8.</summary>
    public static TheoryData<string, bool, int> Formats
    {
        get
        {
            var data = new TheoryData<string, bool, int>();
            foreach ((string name, QuantizeConfig config) in ContractCases.Configs)
            {
                int cycles = config is Int4WeightOnlyConfig { UseHqq: false } or Float8WeightOnlyConfig ? 1000 : 50;
                data.Add(name, false, cycles);
                data.Add(name, true, cycles);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void No_format_leaves_a_tensor(string name, bool isSealed, int cycles) => AssertLeavesNothing(
        isSealed,
        cycles,
        model => ModelQuantizer.Quantize(model, ModuleRules.All(ContractCases.Configs[name]), ContractCases.Catalog, new()),
        width: 128);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Going_back_and_forth_leaves_no_tensor(bool isSealed) => AssertLeavesNothing(isSealed, 200, model =>
    {
        model.Quantize(Int8);
        model.Dequantize();
        model.Quantize(new Int4WeightOnlyConfig { GroupSize = 32 }, new() { MeasureError = true });
        model.Quantize(Int8, new() { KeepQuantized = true });
        model.Explain(new Int4WeightOnlyConfig { GroupSize = 32 });
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Moving_a_quantized_model_leaves_no_tensor(bool isSealed) => AssertLeavesNothing(isSealed, 200, model =>
    {
        model.Quantize(Int8);
        model.to(CPU);
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_failure_midway_leaves_no_tensor(bool isSealed) => AssertLeavesNothing(isSealed, 200, model =>
        Assert.Throws<InvalidOperationException>(() => model.Quantize(Int8, new() { Progress = new Refusal() })));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_memory_of_the_process_does_not_grow(bool isSealed)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Skip("the resident set is read from /proc");
        }

        // 800 cycles with 0.5 MB of float weights and 0.13 MB of codes: a leak of either shows as 100 MB or more. The allocator
        // keeps some pages for each thread, which on sixteen cores was 49 MB.
        Repeat(30);
        long before = ResidentBytes();
        Repeat(800);
        Assert.InRange(ResidentBytes() - before, long.MinValue, 70_000_000);

        void Repeat(int cycles)
        {
            for (int i = 0; i < cycles; i++)
            {
                Live(isSealed, 512, model => model.Quantize(Int8));
            }
        }
    }

    private static void AssertLeavesNothing(
        bool isSealed, int cycles, Action<nn.Module<Tensor, Tensor>> use, int width = 64)
    {
        Live(isSealed, width, use);
        Assert.Equal(Left(_ => { }), Left(use));

        long Left(Action<nn.Module<Tensor, Tensor>> between)
        {
            long before = LiveTensors.Count();
            for (int i = 0; i < cycles; i++)
            {
                Live(isSealed, width, between);
            }

            return LiveTensors.Count() - before;
        }
    }

    private static void Live(bool isSealed, int width, Action<nn.Module<Tensor, Tensor>> use)
    {
        using nn.Module<Tensor, Tensor> model = isSealed ? new SealedBlock(width) : new OpenBlock(width);
        use(model);
        using Tensor x = zeros(1, width);
        model.forward(x).Dispose();
    }

    private static long ResidentBytes()
    {
        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmRSS", StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], null);
    }

    private sealed class Refusal : IProgress<TorchAO.Lifecycle.LayerReport>
    {
        public void Report(TorchAO.Lifecycle.LayerReport value) => throw new InvalidOperationException("stop here");
    }
}
