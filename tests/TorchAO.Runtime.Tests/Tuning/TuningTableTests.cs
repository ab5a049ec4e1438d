using TorchAO.Runtime.Tuning;
using Xunit;

namespace TorchAO.Runtime.Tests.Tuning;

/// <summary>Measurements survive the process, other machines and damage.</summary>
public sealed class TuningTableTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("torchao-").FullName;

    private string FilePath => Path.Combine(folder, "times.txt");

    [Fact]
    public void What_is_written_is_read()
    {
        var table = new TuningTable("box");
        table.Set("M=1 N=2 K=3", "int8", 0.1 + 0.2);
        table.Save(FilePath);

        Assert.True(TuningTable.Load(FilePath, "box").TryGet("M=1 N=2 K=3", "int8", out double milliseconds));
        Assert.Equal(0.1 + 0.2, milliseconds);
    }

    [Fact]
    public void A_file_that_is_not_there_is_an_empty_table()
    {
        TuningTable table = TuningTable.Load(FilePath, "box");

        Assert.Equal(0, table.Count);
        Assert.False(table.TryGet("p", "c", out _));
    }

    [Fact]
    public void Each_machine_reads_its_own_and_keeps_the_others()
    {
        Save("box", "p", 1);
        Save("other", "p", 2);

        TuningTable table = TuningTable.Load(FilePath, "box");
        Assert.Equal(1, table.Count);
        Assert.True(table.TryGet("p", "c", out double milliseconds));
        Assert.Equal(1, milliseconds);
    }

    [Fact]
    public void What_another_process_wrote_meanwhile_stays()
    {
        TuningTable early = TuningTable.Load(FilePath, "box");
        Save("box", "late", 2);
        early.Set("early", "c", 1);
        early.Save(FilePath);

        Assert.Equal(2, TuningTable.Load(FilePath, "box").Count);
    }

    [Theory]
    [InlineData("")]
    [InlineData("something else\n")]
    [InlineData("# TorchAO tuning table 1: machine, problem, candidate, milliseconds\nbox\tp\tc\n")]
    [InlineData("# TorchAO tuning table 1: machine, problem, candidate, milliseconds\nbox\tp\tc\t-1\n")]
    [InlineData("# TorchAO tuning table 1: machine, problem, candidate, milliseconds\nbox\tp\tc\tNaN\n")]
    [InlineData("# TorchAO tuning table 1: machine, problem, candidate, milliseconds\nbox\tp\tc\tfast\n")]
    public void A_damaged_file_is_an_error_with_the_line_and_stays(string text)
    {
        File.WriteAllText(FilePath, text);
        var table = new TuningTable("box");
        table.Set("p", "c", 1);

        Assert.Contains($"{FilePath}, line ", Assert.Throws<InvalidDataException>(() => TuningTable.Load(FilePath, "box")).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidDataException>(() => table.Save(FilePath));
        Assert.Equal(text, File.ReadAllText(FilePath));
        Assert.Single(Directory.GetFiles(folder));
    }

    [Theory]
    [InlineData("a\tb", "c", 1)]
    [InlineData("a", "c\n", 1)]
    [InlineData("a", "", 1)]
    [InlineData("a", "c", 0)]
    [InlineData("a", "c", double.NaN)]
    public void What_would_damage_the_file_is_refused(string problem, string candidate, double milliseconds) =>
        Assert.Throws<ArgumentException>(() => new TuningTable("box").Set(problem, candidate, milliseconds));

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private void Save(string machine, string problem, double milliseconds)
    {
        var table = new TuningTable(machine);
        table.Set(problem, "c", milliseconds);
        table.Save(FilePath);
    }
}
