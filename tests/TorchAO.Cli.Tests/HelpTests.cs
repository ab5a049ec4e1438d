using TorchAO.Tests;
using Xunit;

namespace TorchAO.Cli.Tests;

/// <summary>Help is part of the product: what it says is in committed files, so that a change of it is seen in review.</summary>
/// <remarks>Run with <c>TORCHAO_UPDATE_HELP=1</c> to write the files anew.</remarks>
public sealed class HelpTests
{
    private const string Folder = "tests/TorchAO.Cli.Tests/Help";

    [Theory]
    [InlineData("torchao")]
    [InlineData("quantize")]
    [InlineData("explain")]
    [InlineData("generate")]
    [InlineData("chat")]
    [InlineData("eval")]
    [InlineData("info")]
    [InlineData("configs")]
    [InlineData("bench")]
    [InlineData("bench kernels")]
    [InlineData("bench decode")]
    [InlineData("bench prefill")]
    public void Help_says_what_the_committed_file_says(string command)
    {
        var terminal = new TestTerminal();
        string[] line = command == "torchao" ? ["--help"] : [.. command.Split(' '), "--help"];

        Assert.Equal(ExitCode.Success, terminal.Run(line));

        Assert.Empty(terminal.Err);
        string help = Normalize(terminal.Out);
        string file = RepositoryFiles.Path($"{Folder}/{command.Replace(' ', '-')}.txt");
        if (Environment.GetEnvironmentVariable("TORCHAO_UPDATE_HELP") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, help);
        }

        Assert.Equal(File.ReadAllText(file), help);
    }

    // The parser calls a program by the name of its process, which here is that of the tests; lines end as the console's width says.
    private static string Normalize(string help) => string.Join('\n', help
        .Replace("TorchAO.Cli.Tests", "torchao", StringComparison.Ordinal)
        .ReplaceLineEndings("\n").Split('\n').Select(text => text.TrimEnd())).Trim() + "\n";
}
