using Xunit;

namespace TorchAO.Architecture.Tests.Docs;

public sealed class SnippetTests
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

    private static bool IsGuide(string file)
        => file is "README.md" or "CONTRIBUTING.md" or "MAP.md"
            || (file.EndsWith(".md", StringComparison.Ordinal)
                && (file.StartsWith("docs/", StringComparison.Ordinal) || file.StartsWith("src/", StringComparison.Ordinal)));
}
