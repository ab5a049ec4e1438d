using System.Text.RegularExpressions;
using Xunit;

namespace TorchAO.Architecture.Tests.Docs;

public sealed partial class PageTests
{
    private static readonly PageChecks repository = new(Repository.Files, Repository.Read);

    private static readonly PageChecks planted = new(
        ["README.md", "docs/guide.md", "eng/test"],
        _ => "# One thing\n## `code` & more\n## One thing\n");

    private static IEnumerable<MarkdownPage> Pages
        => Repository.Files.Where(file => file.EndsWith(".md", StringComparison.Ordinal))
            .Select(file => new MarkdownPage(file, Repository.Read(file)));

    [Fact]
    public void Every_relative_link_leads_somewhere()
        => Offences.AssertNone(Pages.SelectMany(repository.DeadLinks), "Correct the link or add what it promises.");

    [Fact]
    public void Every_command_names_scripts_and_projects_that_exist()
        => Offences.AssertNone(Pages.SelectMany(repository.DeadCommands), "Correct the command.");

    [Fact]
    public void Every_code_block_is_closed()
        => Offences.AssertNone(Pages.Where(page => page.IsFenceOpen).Select(page => page.Path), "Close the last block.");

    [Fact]
    public void The_map_links_to_every_project()
    {
        HashSet<string> linked = Targets("MAP.md");
        IEnumerable<string> projects = Repository.Files.Where(file => file.EndsWith(".csproj", StringComparison.Ordinal))
            .Select(file => Path.GetDirectoryName(file)!.Replace('\\', '/'));

        Offences.AssertNone(
            projects.Where(project => !linked.Contains(project)).Select(project => $"MAP.md has no link to {project}"),
            "The map is the first file that a newcomer opens: add the line.");
    }

    [Fact]
    public void The_map_links_to_every_folder_of_a_room()
    {
        HashSet<string> linked = Targets("MAP.md");
        IEnumerable<string> folders = Repository.Sources("src").Select(file => file.Split('/'))
            .Where(segments => segments.Length > 3).Select(segments => string.Join('/', segments[..3])).Distinct();

        Offences.AssertNone(
            folders.Where(folder => !linked.Contains(folder)).Select(folder => $"MAP.md has no link to {folder}"),
            "One line a folder: what it owns and where to start reading.");
    }

    [Fact]
    public void The_map_links_to_the_page_of_every_format()
    {
        HashSet<string> linked = Targets("MAP.md");
        IEnumerable<string> pages = Repository.Sources("src/TorchAO/Formats").Select(file => file.Split('/'))
            .Where(segments => segments.Length > 4).Select(segments => $"src/TorchAO/Formats/{segments[3]}/README.md").Distinct();

        Offences.AssertNone(pages.Where(page => !linked.Contains(page)), "Write the format's page and add it to MAP.md.");
    }

    [Theory]
    [InlineData("docs")]
    [InlineData("docs/adr")]
    public void The_index_of_a_folder_lists_each_of_its_pages(string folder)
    {
        HashSet<string> linked = Targets($"{folder}/README.md");
        IEnumerable<string> pages = Repository.Files.Where(file => file.EndsWith(".md", StringComparison.Ordinal)
            && Path.GetDirectoryName(file)!.Replace('\\', '/') == folder).Select(file => Path.GetFileName(file));

        Offences.AssertNone(
            pages.Where(page => page != "README.md" && !linked.Contains(page)), $"Add the page to {folder}/README.md.");
    }

    [Fact]
    public void Decisions_are_numbered_without_a_gap_and_have_the_same_parts()
    {
        string[] decisions = [.. Repository.Files.Where(file => DecisionPath().IsMatch(file)).Order(StringComparer.Ordinal)];

        Offences.AssertNone(
            [
                .. decisions.Where((file, i) => !Repository.Read(file).StartsWith($"# {i + 1}. ", StringComparison.Ordinal)
                    || !Path.GetFileName(file).StartsWith($"{i + 1:0000}-", StringComparison.Ordinal)),
                .. decisions.Where(file => !new[] { "context", "choice", "cost", "how-to-undo" }
                    .All(new MarkdownPage(file, Repository.Read(file)).Anchors.Contains)),
            ],
            "A decision is one numbered page: context, choice, cost, how to undo.");
    }

    [Theory]
    [InlineData("[a](docs/nothing.md)")]
    [InlineData("[a](guide.md)")]
    [InlineData("[a](docs/guide.md#two-things)")]
    [InlineData("text `code` [a `b`](nowhere/)")]
    public void A_dead_link_is_found(string text)
        => Assert.Single(planted.DeadLinks(new MarkdownPage("README.md", text)));

    [Theory]
    [InlineData("README.md", "[a](docs/guide.md) [b](docs) [c](docs/) [d](https://example.org/x)")]
    [InlineData("README.md", "[a](docs/guide.md#one-thing) [b](docs/guide.md#code--more) [c](docs/guide.md#one-thing-1)")]
    [InlineData("docs/guide.md", "[up](../README.md) [root](/eng/test)")]
    [InlineData("README.md", "`[not a link](nowhere)`\n```\n[nor this](nowhere)\n```")]
    public void A_living_link_is_left_alone(string page, string text)
        => Assert.Empty(planted.DeadLinks(new MarkdownPage(page, text)));

    [Fact]
    public void A_dead_command_is_found()
    {
        MarkdownPage page = new("README.md", "```bash\n# eng/comment\neng/test -class X\ndotnet run --project src/Gone\n```");

        Assert.Equal("README.md(4) runs src/Gone, which does not exist", Assert.Single(planted.DeadCommands(page)));
    }

    private static HashSet<string> Targets(string page) =>
        [.. new MarkdownPage(page, Repository.Read(page)).Links.Select(link => link.Target.TrimEnd('/'))];

    [GeneratedRegex("^docs/adr/[0-9][^/]*$")]
    private static partial Regex DecisionPath();
}
