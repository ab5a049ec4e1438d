using System.Text.RegularExpressions;
using Xunit;

namespace TorchAO.Architecture.Tests.Docs;

public sealed partial class SnippetTests
{
    public static TheoryData<string> Pages
        => [.. Repository.Files.Where(IsGuide).Where(file => new MarkdownPage(file, Repository.Read(file)).Snippets.Count > 0)
            .DefaultIfEmpty("README.md")];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_snippet_of_a_page_compiles(string page)
        => Offences.AssertNone(
            SnippetCompiler.Errors(new MarkdownPage(page, File.Exists(Repository.FullPath(page)) ? Repository.Read(page) : "")),
            "Correct the snippet. A block that goes on from the one above it is marked ```csharp fragment.");

    /// <summary>A reader copies calls out of a line too, where no using is in sight.</summary>
    [Fact]
    public void A_call_of_the_facade_in_a_line_of_prose_is_qualified_throughout()
        => Offences.AssertNone(
            Repository.Files.Where(IsGuide).SelectMany(file => HalfQualified(file, Repository.Read(file))),
            "Write torchao. before each function of the facade, or show the call in a block with its using directives.");

    [Theory]
    [InlineData("`torchao.quantize_(model, int8_weight_only())`", 1)]
    [InlineData("`torchao.quantize_(model, torchao.int8_weight_only())`, `int8_weight_only()`", 0)]
    public void A_call_that_is_qualified_in_part_is_found(string line, int count)
        => Assert.Equal(count, HalfQualified("page.md", line).Count());

    [Fact]
    public void A_wrong_name_is_found_on_its_own_line()
    {
        string error = Assert.Single(Errors("Text.\n\n```csharp\nint k = 1;\nConsole.WriteLine(kk);\n```\n"));

        Assert.StartsWith("page.md(5) CS0103", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_snippet_that_does_not_parse_is_found()
        => Assert.NotEmpty(Errors("```csharp\nvar x = ;\n```\n"));

    [Fact]
    public void A_whole_program_does_not_see_the_one_before_it()
        => Assert.Single(Errors("```csharp\nint k = 1;\n```\n\n```csharp\nConsole.WriteLine(k);\n```\n"));

    [Fact]
    public void A_fragment_goes_on_from_the_blocks_before_it()
        => Assert.Empty(Errors("""
            ```csharp
            using System.Text;
            StringBuilder text = new();
            sealed class Late { }
            ```

            ```csharp fragment
            using System.Globalization;
            text.Append(CultureInfo.InvariantCulture, $"{new Late()}");
            ```
            """));

    [Fact]
    public void The_product_and_TorchSharp_are_within_reach()
        => Assert.Empty(Errors("""
            ```csharp
            using TorchAO;
            using static TorchSharp.torch;
            using Tensor x = ones(2, 3);
            throw new QuantizationException("no");
            ```
            """));

    private static string[] Errors(string text) => [.. SnippetCompiler.Errors(new MarkdownPage("page.md", text))];

    private static IEnumerable<string> HalfQualified(string file, string text)
    {
        HashSet<string> facade = [.. typeof(torchao).GetMethods().Select(method => method.Name)];
        return InlineCode().Matches(text).Select(match => match.Groups[1].Value)
            .Where(code => code.Contains("torchao.", StringComparison.Ordinal)
                && UnqualifiedCall().Matches(code).Any(call => facade.Contains(call.Groups[1].Value)))
            .Select(code => $"{file}: {code}");
    }

    [GeneratedRegex("`([^`\n]+)`")]
    private static partial Regex InlineCode();

    [GeneratedRegex(@"(?<![\w.])(\w+)\(")]
    private static partial Regex UnqualifiedCall();

    private static bool IsGuide(string file)
        => file is "README.md" or "CONTRIBUTING.md" or "MAP.md"
            || (file.EndsWith(".md", StringComparison.Ordinal)
                && (file.StartsWith("docs/", StringComparison.Ordinal) || file.StartsWith("src/", StringComparison.Ordinal)));
}
