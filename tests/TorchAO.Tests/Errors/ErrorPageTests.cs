using Xunit;

namespace TorchAO.Tests.Errors;

/// <summary>The page of errors says what the library says.</summary>
public sealed class ErrorPageTests
{
    private static readonly Mistake[] All =
    [
        .. ModelMistakes.All, .. ConfigMistakes.All, .. LayerMistakes.All, .. PrimitiveMistakes.All, .. FileMistakes.All,
        .. CalibrationMistakes.All, .. AutoQuantMistakes.All,
        .. SkippedLayers.All,
    ];

    public static TheoryData<string> Sections => [.. All.Select(mistake => mistake.Section).Distinct()];

    public static TheoryData<string> Titles => [.. All.Select(mistake => mistake.Title)];

    /// <summary>With <c>TORCHAO_UPDATE_ERRORS=1</c> the section is rewritten; review the difference.</summary>
    [Theory]
    [MemberData(nameof(Sections))]
    public void A_section_of_the_page_holds_the_real_messages(string section)
    {
        string expected = ErrorPage.Format(
            section, All.Where(mistake => mistake.Section == section).Select(mistake => (mistake.Title, mistake.Make())));
        if (Environment.GetEnvironmentVariable("TORCHAO_UPDATE_ERRORS") == "1")
        {
            ErrorPage.Write(section, expected);
        }

        Assert.Equal(expected.TrimEnd(), ErrorPage.Read(section).TrimEnd());
    }

    [Theory]
    [MemberData(nameof(Titles))]
    public void A_message_is_a_sentence_of_a_useful_length(string title)
    {
        string text = All.Single(mistake => mistake.Title == title).Make().Text;

        Assert.InRange(text.Length, 15, 700);
        Assert.DoesNotContain("System.", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", text, StringComparison.Ordinal);
    }

    [Fact]
    public void No_two_mistakes_have_one_title_or_one_message()
    {
        Assert.Equal(All.Select(mistake => mistake.Title).Distinct(), All.Select(mistake => mistake.Title));
        string[] texts = [.. All.Select(mistake => mistake.Make().Text)];
        Assert.Equal(texts.Distinct(), texts);
    }
}
