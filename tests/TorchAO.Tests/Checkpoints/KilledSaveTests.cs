using System.Diagnostics;
using TorchAO.Formats.Int8;
using TorchSharp.Modules;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Tests.Checkpoints;

/// <summary>A process that is killed while it saves leaves the old file whole.</summary>
public sealed class KilledSaveTests : IDisposable
{
    private const string TargetVariable = "TORCHAO_TEST_SAVE_TARGET";
    private const int Width = 2048;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly TemporaryFolder folder = new();

    private string Target => folder.File("model.safetensors");

    private string Partial => folder.File(".model.safetensors.partial");

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Whenever_a_save_is_killed_the_file_under_the_name_is_whole()
    {
        int midway = 0;
        for (int round = 0; round < 5; round++)
        {
            using Process child = ChildProcess.Start(
                $"{typeof(KilledSaveTests).FullName}.{nameof(Child_saves_for_ever)}",
                new Dictionary<string, string> { [TargetVariable] = Target });
            Task<string> output = child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            DateTime? before = File.Exists(Target) ? File.GetLastWriteTimeUtc(Target) : null;
            WaitFor(child, () => File.Exists(Target) && File.GetLastWriteTimeUtc(Target) != before); // it has saved once
            WaitFor(child, PartialHasBytes);
            Thread.Sleep(round * 2); // another point of the save each time
            child.Kill();
            await child.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.DoesNotContain("FAIL", await output, StringComparison.Ordinal);
            midway += File.Exists(Partial) ? 1 : 0;

            using Linear model = nn.Linear(Width, Width, device: META);
            Assert.Equal(0, model.LoadQuantized(Target).ProbeDifference);
        }

        Assert.True(midway > 0, "no kill met a save that was under way");
        using Linear last = nn.Linear(Width, Width);
        last.Quantize(new Int8WeightOnlyConfig());
        last.SaveQuantized(Target);
        Assert.Equal([Target], Directory.GetFiles(folder.Path));
    }

    [Fact(Explicit = true)]
    public void Child_saves_for_ever()
    {
        string target = ChildProcess.Told(TargetVariable);
        using Tensor probe = ones(1, Width);
        for (long seed = 0; ; seed++)
        {
            random.manual_seed(seed);
            using Linear model = nn.Linear(Width, Width);
            model.Quantize(new Int8WeightOnlyConfig());
            for (int i = 0; i < 5; i++)
            {
                model.SaveQuantized(target, probe);
            }
        }
    }

    // The child may finish the save, which takes the name away, between any two looks at it.
    private bool PartialHasBytes()
    {
        try
        {
            return new FileInfo(Partial).Length > 0;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
    }

    private static void WaitFor(Process child, Func<bool> condition)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.False(child.HasExited, "the child ended by itself");
            Assert.True(watch.Elapsed < Patience, "the child does not save");
            Thread.Sleep(1);
        }
    }
}
