using Xunit;

namespace TorchAO.Architecture.Tests.Docs;

public sealed class PageTests
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
        HashSet<string> linked =
            [.. new MarkdownPage("MAP.md", Repository.Read("MAP.md")).Links.Select(link => link.Target.TrimEnd('/'))];
        IEnumerable<string> projects = Repository.Files.Where(file => file.EndsWith(".csproj", StringComparison.Ordinal))
            .Select(file => Path.GetDirectoryName(file)!.Replace('\\', '/'));

        Offences.AssertNone(
            projects.Where(project => !linked.Contains(project)).Select(project => $"MAP.md has no link to {project}"),
            "The map is the first file that a newcomer opens: add the line.");
    }

    [Fact]
    public void The_map_links_to_every_format()
    {
        string map = Repository.Read("MAP.md");
        IEnumerable<string> folders = Repository.Sources("src/TorchAO/Formats").Select(file => file.Split('/')[3])
            .Where(segment => !segment.EndsWith(".cs", StringComparison.Ordinal)).Distinct();

        Offences.AssertNone(
            folders.Where(folder => !map.Contains($"src/TorchAO/Formats/{folder}", StringComparison.Ordinal)),
            "Add the format's folder to MAP.md.");
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
}
