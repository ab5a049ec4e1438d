using System.Text.Json.Nodes;
using Xunit;

namespace TorchAO.Cli.Tests;

/// <summary>What the benchmarks print; how fast anything is, no test says.</summary>
public sealed class BenchTests
{
    [Fact]
    public void Kernels_give_a_row_for_each_config_and_count_of_rows()
    {
        JsonNode json = Json("bench kernels --shape 32x96 --rows 1,3 --rounds 2 --quantize int8wo --quantize int4wo-32 --json");

        JsonArray rows = json["products"]!.AsArray();
        Assert.Equal(
            [(1, "float32"), (1, "int8wo"), (1, "int4wo-32"), (3, "float32"), (3, "int8wo"), (3, "int4wo-32")],
            rows.Select(row => ((int)row!["rows"]!, (string)row["config"]!)));
        Assert.Equal([32 * 96 * 4, (32 * 96) + (4 * 32)], rows.Take(2).Select(row => (int)row!["weight_bytes"]!));
        Assert.Equal("libtorch", (string)rows[0]!["kernel"]!);
        Assert.Equal(1, (double)rows[0]!["times_float32"]!);
        Assert.All(rows, row => Assert.InRange((double)row!["best_milliseconds"]!, double.Epsilon, (double)row["milliseconds"]!));
        Assert.True((double)json["read_gigabytes_per_second"]! > 0);
        Assert.Empty(json["skipped"]!.AsArray());
    }

    [Fact]
    public void A_config_that_does_not_fit_the_shape_says_why()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("bench kernels --shape 32x100 --rows 1 --rounds 1 --quantize int4wo-32 --quantize int8wo"));

        Assert.Contains("int4wo-32: in_features 100 is not a multiple of the group size 32", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("| int8wo", terminal.Out, StringComparison.Ordinal);
        string[] rows = [.. terminal.Out.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith('|'))];
        Assert.All(rows[1].Trim('|').Split('|'), cell => Assert.Matches("^ :?-+:? $", cell)); // Markdown's row below the titles
        Assert.Contains("share of read", terminal.Out, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', terminal.Out);
    }

    [Fact]
    public void Decode_measures_the_shipped_model_both_ways()
    {
        JsonNode json = Json("bench decode --quantize int8wo --prompt-tokens 3 --max-tokens 2 --rounds 2 --json");

        JsonArray runs = json["runs"]!.AsArray();
        Assert.Equal(["as it is", "quantized"], runs.Select(run => (string)run!["name"]!));
        Assert.Equal(260_032 * 4, (long)runs[0]!["weight_bytes_per_token"]!);
        Assert.True((long)runs[1]!["weight_bytes_per_token"]! < 400_000);
        Assert.All(runs, run => Assert.True((double)run!["tokens_per_second"]! > 0));
        Assert.All(runs, run => Assert.NotNull(run!["share_of_read"]));
        Assert.Equal(1, (double)runs[0]!["times_as_it_is"]!);
    }

    [Fact]
    public void Prefill_measures_a_model_of_random_weights()
    {
        var terminal = new TestTerminal();

        Assert.Equal(ExitCode.Success, terminal.Run("bench prefill --shape 260k --quantize int8wo --prompt-tokens 7 --rounds 1"));

        Assert.Contains("random weights, 260k", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("| as it is", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("| quantized", terminal.Out, StringComparison.Ordinal);
        Assert.Contains("tok/s", terminal.Out, StringComparison.Ordinal);
    }

    private static JsonNode Json(string line)
    {
        var terminal = new TestTerminal();
        Assert.Equal(ExitCode.Success, terminal.Run(line));
        Assert.Empty(terminal.Err);
        return JsonNode.Parse(terminal.Out)!;
    }
}
