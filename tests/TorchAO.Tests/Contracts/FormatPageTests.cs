using System.Text.RegularExpressions;
using TorchAO.Formats;
using Xunit;

namespace TorchAO.Tests.Contracts;

/// <summary>The page in a format's folder says what the format's card says.</summary>
public sealed partial class FormatPageTests
{
    public static TheoryData<string> Formats => [.. BuiltInFormats.Catalog.Formats.Select(format => format.Name)];

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_page_lists_the_kernels_in_order_of_preference_and_the_reference_last(string name)
    {
        IFormat format = BuiltInFormats.Catalog.Format(name);
        string page = Page(format);
        string table = page[page.IndexOf("| kernel |", StringComparison.Ordinal)..];

        Assert.Equal([.. format.Kernels, "reference"], Row().Matches(table).Select(row => row.Groups[1].Value));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_page_names_the_configs_as_code_and_files_spell_them(string name)
    {
        IFormat format = BuiltInFormats.Catalog.Format(name);
        string page = Page(format);

        Assert.All(
            format.Handlers,
            handler => Assert.Contains($"`{handler.ConfigType.Name}` (`{handler.ConfigName}`)", page, StringComparison.Ordinal));
    }

    /// <summary>With <c>TORCHAO_UPDATE_FORMATS=1</c> the page is rewritten; review the difference.</summary>
    [Fact]
    public void The_page_of_all_formats_says_what_the_catalogue_says()
    {
        string expected = FormatsPage.Write(BuiltInFormats.Catalog);
        string path = RepositoryFiles.Path(FormatsPage.Path);
        if (Environment.GetEnvironmentVariable("TORCHAO_UPDATE_FORMATS") == "1")
        {
            File.WriteAllText(path, expected);
        }

        Assert.Equal(expected, File.ReadAllText(path).ReplaceLineEndings("\n"));
    }

    private static string Page(IFormat format) => File.ReadAllText(RepositoryFiles.Path($"{FormatsPage.Folder(format)}/README.md"));

    [GeneratedRegex("^\\| `([a-z0-9_.]+)` \\|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
