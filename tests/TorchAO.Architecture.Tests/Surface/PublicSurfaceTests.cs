using Mono.Cecil;
using Xunit;

namespace TorchAO.Architecture.Tests.Surface;

/// <summary>
/// Compares each assembly with its page in this folder. A change of the public surface is a line in the change that
/// makes it; <c>TORCHAO_UPDATE_SURFACE=1</c> rewrites the pages.
/// </summary>
public sealed class PublicSurfaceTests
{
    private const string UpdateVariable = "TORCHAO_UPDATE_SURFACE";

    public static TheoryData<string> Assemblies => [.. ProductAssemblies.Names];

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void The_public_surface_is_the_one_that_was_reviewed(string assembly)
    {
        using ModuleDefinition module = ModuleDefinition.ReadModule(ProductAssemblies.PathOf(assembly));
        string actual = PublicSurface.Write(module);
        string page = $"tests/TorchAO.Architecture.Tests/Surface/{assembly}.txt";
        if (Environment.GetEnvironmentVariable(UpdateVariable) == "1")
        {
            File.WriteAllText(Repository.FullPath(page), actual);
        }

        string reviewed = File.Exists(Repository.FullPath(page)) ? Repository.Read(page) : "";
        Offences.AssertNone(
            Difference(reviewed, actual),
            $"If this is meant, run the architecture tests once with {UpdateVariable}=1 and review the change of {page}.");
    }

    [Fact]
    public void A_changed_member_shows_as_one_line_gone_and_one_line_new()
        => Assert.Equal(
            ["- class A:     int One()", "+ class A:     int One(int k)"],
            Difference("class A\n    int One()\n", "class A\n    int One(int k)\n"));

    [Fact]
    public void What_callers_see_is_written_and_the_rest_is_not()
    {
        using MemoryStream image = InMemoryCompiler.Library("Planted", """
            namespace N;
            public sealed record Point(int X) { public string? Name { get; init; } }
            public abstract class Shape { protected abstract double Area(); internal void Hidden() { } int field; }
            public enum Kind { Round, Square = 4 }
            public delegate void Done(int code);
            public interface IFinder<T> where T : class { System.Collections.Generic.List<T>? Find(string name = "x"); }
            public static class Extensions { public const int Limit = 3; public static int? Half(this int n) => n / 2; }
            internal class Unseen { public int Value; }
            """);
        using ModuleDefinition module = ModuleDefinition.ReadModule(image);

        Assert.Equal(
            """
            delegate N.Done(int code)
            static class N.Extensions
                const int Limit = 3
                static int? Half(int n)
            interface N.IFinder<T>
                System.Collections.Generic.List<T> Find(string name = "x")
            enum N.Kind
                Round = 0
                Square = 4
            sealed record N.Point
                int X { get; init; }
                new(int X)
                string Name { get; init; }
            abstract class N.Shape
                new()
                protected abstract double Area()

            """.ReplaceLineEndings("\n"),
            PublicSurface.Write(module));
    }

    // Each member line is compared together with its type, so that equal members of two types stay apart.
    private static IEnumerable<string> Difference(string reviewed, string actual)
    {
        string[] before = [.. Qualified(reviewed)];
        string[] after = [.. Qualified(actual)];
        return before.Except(after).Select(line => "- " + line).Concat(after.Except(before).Select(line => "+ " + line));
    }

    private static IEnumerable<string> Qualified(string text)
    {
        string type = "";
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            bool isMember = line.StartsWith(' ');
            type = isMember ? type : line;
            yield return isMember ? $"{type}: {line}" : line;
        }
    }
}
