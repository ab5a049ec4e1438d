using System.Runtime;
using TorchAO.Tests;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace TorchAO.Examples.Tests;

/// <summary>The rebuilt networks compute what their origins say, and quantizing them costs little.</summary>
public sealed class ExampleTests
{
    [Fact]
    public void Keywords_are_spotted_as_often_as_the_reference_says()
    {
        IReadOnlyList<Comparison.Row> rows = Comparison.Measure(new KeywordSpotting());

        Assert.Equal(90.1, rows[0].Percent, 3); // assets/README.md
        Assert.All(rows.Skip(1), row => Assert.InRange(row.Percent, 88, 91.5));
        Assert.All(rows.Skip(1), row => Assert.Equal(row.Report!.Layers.Count, row.Report.Quantized.Count()));
        Assert.All(rows.Skip(1), row => Assert.True(row.Bytes * 3 < rows[0].Bytes, row.Name));
    }

    [Fact]
    public void Speech_is_found_where_the_reference_finds_it()
    {
        // TorchSharp frees a Scalar in a collection while libtorch may still read it, and this network makes very many: see eng/test.
        bool isQuiet = GC.TryStartNoGCRegion(240L << 20);
        GC.WaitForPendingFinalizers();
        try
        {
            CheckSpeech();
        }
        finally
        {
            if (isQuiet && GCSettings.LatencyMode == GCLatencyMode.NoGCRegion)
            {
                GC.EndNoGCRegion();
            }
        }
    }

    private static void CheckSpeech()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        var example = new VoiceActivity();
        using nn.Module<Tensor, Tensor> network = example.Load();
        float[] probabilities = network.call(example.Inputs()).data<float>().ToArray();

        Assert.Equal(1875, probabilities.Length);
        float[] first = [0.451f, 0.879f, 0.892f, 0.998f, 0.999f, 1, 1, 1, 1, 1]; // assets/README.md
        Assert.All(first.Zip(probabilities), pair => Assert.Equal(pair.First, pair.Second, 0.0011f));
        Assert.Equal(78.1, 100.0 * probabilities.Count(p => p > 0.5) / probabilities.Length, 1);

        IReadOnlyList<Comparison.Row> rows = Comparison.Measure(new VoiceActivity());
        Assert.All(rows.Skip(1), row => Assert.InRange(row.Percent, 99, 100));
    }

    [Fact]
    public void Clothes_are_told_apart_as_before()
    {
        IReadOnlyList<Comparison.Row> rows = Comparison.Measure(new FashionVision());

        Assert.Equal(86.4, rows[0].Percent, 3); // of the first 1,000 images; 85.36 of all 10,000
        Assert.All(rows.Skip(1), row => Assert.InRange(row.Percent, 85, 87.5));
        Assert.Equal(18, rows[1].Report!.Quantized.Count());
    }

    [Fact]
    public void A_table_has_a_row_a_way_and_says_what_was_left_alone()
    {
        string text = Comparison.Run(new FashionVision());

        Assert.Contains("| int8 | 86.40 |", text, StringComparison.Ordinal);
        Assert.Contains("patch_embed.proj, head: rule '*' says skip", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_measurement_leaves_as_many_tensors_as_the_networks_alone()
    {
        var example = new KeywordSpotting();
        Assert.Equal(Growth(() => example.Load().Dispose()) * (1 + example.Recipes.Count), Growth(() => Comparison.Measure(example)));

        // TorchSharp's own count grows with each layer that its constructors make.
        static long Growth(Action use)
        {
            use();
            long before = LiveTensors.Count();
            use();
            return LiveTensors.Count() - before;
        }
    }
}
