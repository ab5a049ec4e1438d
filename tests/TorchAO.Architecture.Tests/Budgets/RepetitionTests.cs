using Xunit;

namespace TorchAO.Architecture.Tests.Budgets;

public sealed class RepetitionTests
{
    // About eight lines of code. Shorter runs are outlines (the overrides of a card, a guard), not copies.
    private const int Tokens = 75;

    private const string Body = "int sum = 0; for (int i = 0; i < n; i++) { sum += x[i] * y[i]; } return sum;";

    [Fact]
    public void No_code_stands_twice()
        => Offences.AssertNone(
            Repetitions.Find(Repository.Sources("src").Select(path => new SourceFile(path, Repository.Read(path))), Tokens),
            "Keep one of them, in the lowest room that both can reach.");

    [Fact]
    public void A_copy_in_another_file_with_another_layout_is_found_once()
    {
        SourceFile first = new("src/A.cs", $"class A {{ int M(int[] x, int[] y, int n) {{ {Body} }} }}");
        SourceFile second = new("src/B.cs", $"class B {{ long N()\n{{\n// comment\n{Body.Replace("; ", ";\n")}\n}} }}");

        string offence = Assert.Single(Repetitions.Find([first, second], 30));

        Assert.StartsWith("src/B.cs(1) repeats ", offence, StringComparison.Ordinal);
        Assert.EndsWith(" tokens of src/A.cs(1)", offence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_copy_in_the_same_file_is_found()
        => Assert.Single(Repetitions.Find([new SourceFile("src/A.cs", $"class A {{ int M() {{ {Body} }} long N() {{ {Body} }} }}")], 30));

    [Fact]
    public void Other_names_make_other_code()
        => Assert.Empty(Repetitions.Find(
            [
                new SourceFile("src/A.cs", $"class A {{ int M() {{ {Body} }} }}"),
                new SourceFile("src/B.cs", $"class B {{ int M() {{ {Body.Replace("sum", "total")} }} }}"),
            ],
            30));
}
