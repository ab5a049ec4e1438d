using TorchAO.Kernels.Cuda;
using TorchAO.KvCache;
using TorchAO.Runtime.Cuda;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Kernels.Cuda;

/// <summary>Decode steps in one launch on a GPU, against the same products and attentions in launches of their own.</summary>
public sealed class StepLaunchTests
{
    private const int Capacity = 208, Seed = 7;

    private static readonly int[] Positions = [0, 1, 63, 200];

    [CudaTheory]
    [InlineData(StepWeightKind.Int8Rows)]
    [InlineData(StepWeightKind.Int8Groups32)]
    [InlineData(StepWeightKind.Float8E4M3)]
    [InlineData(StepWeightKind.Float8E5M2)]
    [InlineData(StepWeightKind.Float8Shared)]
    [InlineData(StepWeightKind.Int4Groups32)]
    [InlineData(StepWeightKind.Int4Groups64)]
    [InlineData(StepWeightKind.Int4Groups128)]
    [InlineData(StepWeightKind.Int4Symmetric)]
    [InlineData(StepWeightKind.Int4Codes)]
    public void Every_kind_of_weights_gives_what_separate_launches_give(StepWeightKind kind)
    {
        Check(new StepSizes(512, 1408, 8, 2, 64, 1003), kind);
        Check(new StepSizes(1152, 384, 4, 1, 128, 77) { HasBias = true, HasHeadNorm = true }, kind);
    }

    [CudaTheory]
    [InlineData(64, 8, 8)]
    [InlineData(64, 16, 4)]
    [InlineData(64, 8, 1)]
    [InlineData(128, 4, 4)]
    [InlineData(128, 8, 2)]
    [InlineData(128, 16, 2)]
    public void Every_sharing_of_heads_gives_what_separate_launches_give(int headSize, int heads, int keyValueHeads) =>
        Check(new StepSizes(1024, 2816, heads, keyValueHeads, headSize, 500), StepWeightKind.Int4Groups32);

    [CudaTheory]
    [InlineData(KeyValueFormat.Int8, 64)]
    [InlineData(KeyValueFormat.Int8, 128)]
    [InlineData(KeyValueFormat.Float8, 64)]
    [InlineData(KeyValueFormat.Float8, 128)]
    [InlineData(KeyValueFormat.Int4, 64)]
    [InlineData(KeyValueFormat.Int4, 128)]
    public void Every_cache_gives_what_separate_launches_give(KeyValueFormat cache, int headSize) =>
        Check(new StepSizes(1024, 2048, 8, 2, headSize, 500), StepWeightKind.Int8Rows, cache);

    [CudaTheory]
    [InlineData(StepWeightKind.Int4Groups32)]
    [InlineData(StepWeightKind.Int8Rows)]
    [InlineData(StepWeightKind.Float8E4M3)]
    public void Layers_of_usual_size_give_what_separate_launches_give(StepWeightKind kind) =>
        Check(new StepSizes(4096, 14_336, 32, 8, 128, 32_000), kind);

    [CudaFact]
    public void The_same_step_gives_the_same_bits_each_time()
    {
        using DisposeScope scope = NewDisposeScope();
        StepWeightKind kind = StepWeightKind.Int4Groups32;
        using var step = new Step(new StepSizes(2048, 5632, 32, 4, 64, 1000), [kind, kind, kind], KeyValueFormat.Float);
        step.Model.Begin(100);
        step.Run(step.Combined);
        IReadOnlyList<Tensor> first = step.Model.Left();
        for (int i = 0; i < 200; i++)
        {
            step.Model.Begin(100);
            step.Run(step.Combined);
            Assert.All(first.Zip(step.Model.Left()), pair => Assert.True(StepModel.HaveSameBits(pair.First, pair.Second), $"repetition {i}"));
        }
    }

    [CudaFact]
    public void Steps_follow_one_another_without_a_wait()
    {
        using DisposeScope scope = NewDisposeScope();
        StepWeightKind kind = StepWeightKind.Int8Rows;
        using var step = new Step(new StepSizes(512, 1408, 8, 2, 64, 1003), [kind, kind, kind], KeyValueFormat.Float);
        IReadOnlyList<Tensor>[] left = [.. new[] { true, false }.Select(waits =>
        {
            step.Model.Begin(20);
            for (int i = 0; i < 50; i++)
            {
                step.Run(step.Combined); // each adds to what the one before left
                if (waits)
                {
                    cuda.synchronize();
                }
            }

            return step.Model.Left();
        })];
        Assert.All(left[0].Zip(left[1]), pair => Assert.True(StepModel.HaveSameBits(pair.First, pair.Second)));
    }

    [CudaFact]
    public void Layers_of_different_kinds_are_a_launch_each()
    {
        using DisposeScope scope = NewDisposeScope();
        using var step = new Step(
            new StepSizes(512, 1408, 8, 2, 64, 1003), [StepWeightKind.Int8Rows, StepWeightKind.Int4Groups32, StepWeightKind.Half],
            KeyValueFormat.Float);

        Assert.Null(step.Reason);
        Assert.Equal([typeof(StepLaunch), typeof(StepLaunch), typeof(GemvLaunch)], step.Combined.Select(launch => launch.GetType()));
        Assert.All(step.Combined.OfType<StepLaunch>(), launch => Assert.Equal(5, launch.PartCount));
        Compare(step, 63);
    }

    [CudaFact]
    public void Weights_in_16_bits_stay_launches_of_their_own()
    {
        using DisposeScope scope = NewDisposeScope();
        StepWeightKind kind = StepWeightKind.Half;
        using var step = new Step(new StepSizes(512, 1408, 8, 2, 64, 1003), [kind, kind, kind], KeyValueFormat.Float);

        Assert.Equal("weights in 16 bits gain nothing by one launch", step.Reason);
        Assert.Equal(step.Separate, step.Combined);
    }

    // Two layers and the head are one launch, and give what eleven give.
    private static void Check(StepSizes sizes, StepWeightKind kind, KeyValueFormat cache = KeyValueFormat.Float)
    {
        using DisposeScope scope = NewDisposeScope();
        using var step = new Step(sizes, [kind, kind, kind], cache);
        Assert.Null(step.Reason);
        Assert.Equal(11, Assert.IsType<StepLaunch>(Assert.Single(step.Combined)).PartCount);
        foreach (int position in Positions)
        {
            Compare(step, position);
        }
    }

    private static void Compare(Step step, int position)
    {
        using DisposeScope scope = NewDisposeScope();
        StepModel model = step.Model;
        string seed = $"position {position}, seed {Seed}";
        model.Begin(position);
        step.Run(step.Separate);
        (Tensor hidden, Tensor scores) = (model.Hidden.clone(), model.Scores.clone());
        Tensor[] rows = [.. model.Rows(position).Select(row => row.clone())];
        model.Begin(position);
        step.Run(step.Combined);
        AssertNear(model.Hidden, hidden, 1e-2, $"hidden, {seed}");
        AssertNear(model.Scores, scores, 1e-2, $"scores, {seed}");

        // A number that is rounded the other way may take another code.
        double most = model.Cache switch { KeyValueFormat.Int4 => 0.1, KeyValueFormat.Float8 => 0.03, _ => 1e-2 };
        foreach ((Tensor actual, Tensor expected) in model.Rows(position).Zip(rows))
        {
            AssertNear(actual, expected, most, $"a row of the cache, {seed}");
        }

        Assert.False(model.HasTouchedOtherRows(position), seed);
        Assert.Equal(0, model.Arrived.sum().item<long>());
    }

    private static void AssertNear(Tensor actual, Tensor expected, double most, string what)
    {
        double error = StepModel.Error(actual, expected);
        Assert.True(error < most, $"{what}: error {error:E2}, expected less than {most}");
    }

    // A model on the device, in launches of its own and combined.
    private sealed class Step : IDisposable
    {
        private readonly CudaDevice device;
        private readonly CudaAttentionScratch scratch;

        public Step(StepSizes sizes, IReadOnlyList<StepWeightKind> kinds, KeyValueFormat cache)
        {
            manual_seed(Seed);
            using Tensor there = zeros(1, device: CUDA);
            device = CudaDevice.Of(there);
            Assert.SkipUnless(device.ComputeCapability.Major >= 9, $"{device.Name} takes no step in one launch");
            var shape = new CudaAttentionShape(sizes.Heads, sizes.KeyValueHeads, sizes.HeadSize, null, 1e-5);
            scratch = CudaAttention.CreateScratch(device, shape, 1);
            Model = new StepModel(sizes, kinds, cache, Capacity, CUDA, null, _ => scratch);
            Separate = [.. Model.Parts.Select(part => part is GemvProduct product ? new GemvLaunch(device, product) : (ICudaLaunch)part)];
            Combined = StepLaunch.Combine(device, Separate, out string? reason);
            Reason = reason;
        }

        public StepModel Model { get; }

        public IReadOnlyList<ICudaLaunch> Separate { get; }

        public IReadOnlyList<ICudaLaunch> Combined { get; }

        public string? Reason { get; }

        public void Run(IReadOnlyList<ICudaLaunch> launches)
        {
            CudaStream stream = CudaStream.Current(device);
            foreach (ICudaLaunch launch in launches)
            {
                launch.Launch(stream);
            }
        }

        public void Dispose()
        {
            device.Synchronize();
            foreach (StepLaunch launch in Combined.OfType<StepLaunch>())
            {
                launch.Dispose();
            }

            scratch.Dispose();
        }
    }
}
