using Xunit;

namespace TorchAO.Architecture.Tests.Budgets;

public sealed class HygieneTests
{
    private const long Megabyte = 1_000_000;
    private const long LargestFile = 5 * Megabyte;
    private const long Total = 25 * Megabyte;

    [Fact]
    public void Every_name_says_what_is_inside()
        => Offences.AssertNone(
            Repository.Files.Where(file => !file.StartsWith("tests/goldens/", StringComparison.Ordinal))
                .SelectMany(Hygiene.EmptyNames),
            "Name the thing after what it does.");

    [Fact]
    public void Every_mark_of_unfinished_work_has_an_issue_number()
        => Offences.AssertNone(InTextFiles(Hygiene.UnnumberedMarks), "Finish it, or write the issue number behind it.");

    [Fact]
    public void No_file_holds_a_path_of_somebodys_machine()
        => Offences.AssertNone(InTextFiles(Hygiene.MachinePaths), "Use a path relative to the repository.");

    [Fact]
    public void No_file_is_larger_than_five_megabytes()
        => Offences.AssertNone(
            Repository.Files.Where(file => Size(file) > LargestFile).Select(file => $"{file}: {Size(file)} bytes"),
            "Large data is fetched by a script, not kept in the repository.");

    [Fact]
    public void The_whole_repository_stays_under_twenty_five_megabytes()
    {
        long bytes = Repository.Files.Sum(Size);

        Assert.True(bytes < Total, $"the files of the repository take {bytes} bytes, allowed {Total}");
    }

    [Theory]
    [InlineData("src/TorchAO/Utils/A.cs")]
    [InlineData("src/TorchAO/TensorHelpers/A.cs")]
    [InlineData("src/TorchAO/prototype/A.cs")]
    [InlineData("src/TorchAO/Experimental/A.cs")]
    [InlineData("src/TorchAO/Formats/FormatManager.cs")]
    [InlineData("src/TorchAO/Formats/TensorUtil.cs")]
    [InlineData("src/TorchAO/Formats/GridBase.cs")]
    [InlineData("eng/common.sh")]
    public void An_empty_name_is_found(string path) => Assert.Single(Hygiene.EmptyNames(path));

    [Theory]
    [InlineData("src/TorchAO/Formats/Int8/Int8Format.cs")]
    [InlineData("docs/experimental.md")]
    [InlineData("src/TorchAO/Formats/BaseModelCard.cs")]
    [InlineData("src/TorchAO.Models/Tokenizers/CommonPrefix.cs")]
    public void A_name_with_meaning_is_left_alone(string path) => Assert.Empty(Hygiene.EmptyNames(path));

    [Fact]
    public void An_unnumbered_mark_is_found_and_a_numbered_one_is_not()
    {
        string mark = "TO" + "DO";

        Assert.Equal([2], Hygiene.UnnumberedMarks($"// fine\n// {mark}: later\n// {mark} #12: later\n"));
    }

    [Fact]
    public void A_path_of_a_machine_is_found()
        => Assert.Equal([2], Hygiene.MachinePaths("fine\nsee /wo" + "rk/notes.txt\nartifacts/bin\n"));

    private static IEnumerable<string> InTextFiles(Func<string, IEnumerable<int>> find)
        => from file in Repository.Files
           where Repository.IsText(file) && Size(file) < Megabyte
           from line in find(Repository.Read(file))
           select $"{file}({line})";

    private static long Size(string file) => new FileInfo(Repository.FullPath(file)).Length;
}
