using Xunit;

namespace TorchAO.Tests.Golden;

/// <summary>Runs every recorded case that has a handler and lists the others as missing.</summary>
public sealed class GoldenTests(ITestOutputHelper output)
{
    /// <summary>Areas in which no case may be missing.</summary>
    private static readonly string[] CompleteAreas = ["A", "E"];

    private static readonly IGoldenHandler[] Handlers =
    [
        .. typeof(IGoldenHandler).Assembly.GetTypes()
            .Where(type => type.IsAssignableTo(typeof(IGoldenHandler)) && type is { IsClass: true, IsAbstract: false, IsNested: false })
            .Select(type => (IGoldenHandler)Activator.CreateInstance(type)!),
    ];

    public static TheoryData<string> Handled =>
        [.. GoldenSet.Current.Cases.Where(c => HandlerOf(c) is not null).Select(c => c.Id)];

    [Theory]
    [MemberData(nameof(Handled))]
    public void We_compute_what_torchao_recorded(string id)
    {
        GoldenCase recorded = GoldenSet.Current[id];

        IReadOnlyList<string> problems = GoldenRun.Problems(recorded, GoldenSet.Current, HandlerOf(recorded)!);

        Assert.True(problems.Count == 0, $"{id}\n  {string.Join("\n  ", problems)}");
    }

    [Fact]
    public void No_case_is_missing_in_an_area_that_we_claim()
    {
        GoldenCase[] missing = [.. GoldenSet.Current.Cases.Where(c => HandlerOf(c) is null)];
        foreach (IGrouping<string, GoldenCase> area in GoldenSet.Current.Cases.GroupBy(c => c.Area))
        {
            output.WriteLine($"ran: {area.Count(c => HandlerOf(c) is not null),3} of {area.Count(),3} of {area.Key}");
        }

        foreach (IGrouping<string, GoldenCase> family in missing.GroupBy(c => $"{c.Area}/{c.Family}"))
        {
            output.WriteLine($"missing: {family.Count(),3} of {family.Key} ({family.First().Call})");
        }

        Assert.Empty(missing.Where(c => CompleteAreas.Contains(c.Area)).Select(c => c.Id));
    }

    [Fact]
    public void A_case_has_at_most_one_handler() =>
        Assert.Empty(GoldenSet.Current.Cases.Where(c => Handlers.Count(h => h.Handles(c)) > 1).Select(c => c.Id));

    [Fact]
    public void Ids_carry_no_meaning_beyond_their_area() => Assert.All(
        GoldenSet.Current.Cases, c => Assert.Same(HandlerOf(c), HandlerOf(c with { Id = $"{c.Area}/unseen" })));

    private static IGoldenHandler? HandlerOf(GoldenCase recorded) => Array.Find(Handlers, h => h.Handles(recorded));
}
