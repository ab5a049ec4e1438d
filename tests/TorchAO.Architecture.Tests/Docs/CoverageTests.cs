using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace TorchAO.Architecture.Tests.Docs;

/// <summary>The page of coverage claims nothing that is not there.</summary>
public sealed partial class CoverageTests
{
    private const string Page = "docs/coverage.md";
    private const int Rows = 166;

    private static readonly string[] Statuses = ["whole", "memory only", "part", "not yet", "left out"];

    private static readonly Row[] All = [.. RowPattern().Matches(Repository.Read(Page)).Select(Row.Of)];

    [Fact]
    public void Every_row_of_the_checklist_is_there_once_and_in_order()
        => Assert.Equal(Enumerable.Range(1, Rows), All.Select(row => row.Number));

    [Fact]
    public void A_status_is_one_of_the_five_and_what_is_there_names_type_and_test()
        => Offences.AssertNone(
            All.Where(row => !Statuses.Contains(row.Status) || (row.IsThere && (row.Types.Length == 0 || row.Tests.Length == 0 || row.Proof == "")))
                .Select(row => $"{Page}: row {row.Number}, status '{row.Status}'"),
            $"A status is {string.Join(", ", Statuses)}; what is there names its type, its test and what proves it.");

    [Fact]
    public void What_is_not_there_says_why()
        => Offences.AssertNone(
            All.Where(row => !row.IsThere && row.Proof == "").Select(row => $"{Page}: row {row.Number}"),
            "Say in the last column what is missing or why it is left out.");

    [Fact]
    public void Every_named_type_exists()
    {
        HashSet<string> known = [.. Repository.Sources("src").Select(file => Path.GetFileName(file).Split('.')[0])]; // one type a file
        Offences.AssertNone(
            All.SelectMany(row => row.Types.Where(type => !known.Contains(type)).Select(type => $"{Page}: row {row.Number} names {type}")),
            "Correct the name.");
    }

    [Fact]
    public void Every_named_test_exists()
    {
        HashSet<string> known = [.. Repository.Sources("tests").Select(file => Path.GetFileNameWithoutExtension(file))];
        Offences.AssertNone(
            All.SelectMany(row => row.Tests.Where(test => !known.Contains(test)).Select(test => $"{Page}: row {row.Number} names {test}")),
            "Correct the name.");
    }

    [Fact]
    public void The_counts_above_the_table_are_those_of_its_rows()
    {
        string page = Repository.Read(Page);
        Assert.All(
            All.GroupBy(row => row.Status),
            group => Assert.Contains(
                string.Create(CultureInfo.InvariantCulture, $"{group.Count()} {group.Key}"), page, StringComparison.Ordinal));
    }

    [GeneratedRegex(@"^\| (\d+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|\r?$", RegexOptions.Multiline)]
    private static partial Regex RowPattern();

    [GeneratedRegex("`([A-Za-z0-9_]+)`")]
    private static partial Regex Name();

    private sealed record Row(int Number, string Status, string[] Types, string[] Tests, string Proof)
    {
        public bool IsThere => Status is "whole" or "memory only" or "part";

        public static Row Of(Match match) => new(
            int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture),
            match.Groups[3].Value.Trim(),
            Names(match.Groups[4].Value),
            Names(match.Groups[5].Value),
            match.Groups[6].Value.Trim());

        private static string[] Names(string cell) => [.. Name().Matches(cell).Select(name => name.Groups[1].Value)];
    }
}
