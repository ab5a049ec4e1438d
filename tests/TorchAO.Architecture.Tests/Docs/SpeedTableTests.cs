using Xunit;

namespace TorchAO.Architecture.Tests.Docs;

/// <summary>What the first page says of speed is what the benchmarks wrote.</summary>
/// <remarks>Run with <c>TORCHAO_UPDATE_SPEED=1</c> to write the tables anew.</remarks>
public sealed class SpeedTableTests
{
    private const string Page = "README.md";

    private const string Products = """
        # Linear products

        - TorchAO: takes part

        ## [2, 3]

        ### How many times faster ours is (medians)

        | ours | peer | M = 1 | M = 128 |
        | --- | --- | --- | --- |
        | int8 | other | 9.00 | 9.00 |

        ## [20, 3]

        | contestant | MB |
        | --- | --- |
        | ours | 1 |

        ### How many times faster ours is (medians)

        | ours | peer | M = 1 | M = 8 | M = 128 |
        | --- | --- | --- | --- | --- |
        | int8 | other | 1.25 | 7.00 | 0.50 |
        """;

    private const string Models = """
        # Whole models

        ## tiny

        Ours over the fastest llama.cpp of the same bits (medians):

        | ours | decode | prefill |
        | --- | --- | --- |
        | int8 | 2.00 | 0.25 |
        """;

    [Fact]
    public void The_first_page_says_what_the_results_say()
    {
        string page = Repository.Read(Page);
        string expected = SpeedTable.Replace(page, SpeedTable.Write(ReadIfThere(SpeedTable.Products), ReadIfThere(SpeedTable.Models)));
        if (Environment.GetEnvironmentVariable("TORCHAO_UPDATE_SPEED") == "1")
        {
            File.WriteAllText(Repository.FullPath(Page), expected);
        }

        Assert.Equal(expected, Repository.Read(Page));
    }

    [Fact]
    public void The_largest_weight_gives_the_rows_and_every_model_its_own()
    {
        string tables = SpeedTable.Write(Products, Models);

        Assert.Contains("weight [20, 3]", tables, StringComparison.Ordinal);
        Assert.Contains("| other | int8 | 1.25 | 0.50 |\n", tables, StringComparison.Ordinal);
        Assert.DoesNotContain("9.00", tables, StringComparison.Ordinal);
        Assert.Contains("| tiny | int8 | 2.00 | 0.25 |\n", tables, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_not_measured_is_said_not_to_be()
    {
        string tables = SpeedTable.Write(null, Models);

        Assert.Contains("not measured yet", tables, StringComparison.Ordinal);
        Assert.Contains("| tiny | int8 | 2.00 | 0.25 |\n", tables, StringComparison.Ordinal);
        Assert.DoesNotContain("not measured yet", SpeedTable.Write(Products, Models), StringComparison.Ordinal);
    }

    [Fact]
    public void Tables_are_replaced_between_their_marks_and_nowhere_else()
    {
        string first = SpeedTable.Replace(
            "before\n<!-- speed: TORCHAO_UPDATE_SPEED=1 on the architecture tests makes these tables anew -->\nold\n<!-- end of speed -->\nafter",
            "new\n");

        Assert.Equal(first, SpeedTable.Replace(first, "new\n"));
        Assert.StartsWith("before\n", first, StringComparison.Ordinal);
        Assert.EndsWith("-->\n\nnew\n\n<!-- end of speed -->\nafter", first, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("## [2, 3]\n", Models)]
    [InlineData(Products, "## tiny\n\nnothing")]
    [InlineData(Products, "# Whole models\n")]
    [InlineData("## [2, 3]\n\n### How many times faster ours is (medians)\n\n| ours | peer | M = 2 |\n| - | - | - |\n| a | b | 1 |\n", Models)]
    public void A_page_of_another_form_is_refused(string products, string models)
        => Assert.Throws<FormatException>(() => SpeedTable.Write(products, models));

    [Fact]
    public void A_page_without_marks_is_refused()
        => Assert.Throws<FormatException>(() => SpeedTable.Replace("# Title\n", "tables"));

    private static string? ReadIfThere(string page) => Repository.Files.Contains(page) ? Repository.Read(page) : null;
}
