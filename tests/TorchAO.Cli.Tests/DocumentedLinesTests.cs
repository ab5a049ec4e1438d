using System.CommandLine;
using TorchAO.Tests;
using Xunit;

namespace TorchAO.Cli.Tests;

/// <summary>Command lines on the pages are ones that the parser takes.</summary>
public sealed class DocumentedLinesTests
{
    private const string FromSources = "dotnet run -c Release --project src/TorchAO.Cli -- ";

    /// <summary>The lines that help shows.</summary>
    public static TheoryData<string> Examples => [.. HelpExamples.Lines.Values.SelectMany(lines => lines)];

    public static TheoryData<string> Lines => [.. new[] { "README.md", "docs/cli.md", "docs/benchmarks.md" }
        .SelectMany(page => File.ReadAllText(RepositoryFiles.Path(page)).Split("```bash\n").Skip(1))
        .SelectMany(rest => rest[..rest.IndexOf("```", StringComparison.Ordinal)].Split('\n'))
        .Where(line => line.StartsWith("torchao ", StringComparison.Ordinal) || line.StartsWith(FromSources, StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Lines))]
    [MemberData(nameof(Examples))]
    public void A_documented_line_parses(string line)
    {
        string arguments = line.StartsWith("torchao ", StringComparison.Ordinal) ? line["torchao ".Length..] : line[FromSources.Length..];
        var terminal = new Terminal(TextWriter.Null, TextWriter.Null, TextReader.Null, isInteractive: false);

        ParseResult parsed = CommandLine.CreateRoot(terminal).Parse(TestTerminal.Split(arguments));

        Assert.Empty(parsed.Errors.Select(error => error.Message));
    }
}
