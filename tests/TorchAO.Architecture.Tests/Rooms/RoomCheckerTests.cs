using Mono.Cecil;
using Xunit;

namespace TorchAO.Architecture.Tests.Rooms;

/// <summary>Plants faults in assemblies compiled here: a checker that finds nothing must be shown to be able to.</summary>
public sealed class RoomCheckerTests
{
    [Theory]
    [InlineData("public Beta.Grid? Field;", "Field")]
    [InlineData("public Beta.Grid Property { get; } = null!;", "Property")]
    [InlineData("public void M(Beta.Grid[] grids) { }", ".M")]
    [InlineData("public void M() { var grid = new Beta.Grid(); grid.ToString(); }", ".M")]
    [InlineData("public int M() => Beta.Grid.Step;", "Step")]
    [InlineData("public object M() => typeof(Beta.Grid);", ".M")]
    [InlineData("public System.Collections.Generic.List<Beta.Grid[]>? Field;", "Field")]
    [InlineData("public void M<T>() where T : Beta.Grid { }", ".M")]
    [InlineData("public void M() => System.Array.Empty<Beta.Grid>();", ".M")]
    [InlineData("public System.Func<int> M() => () => Beta.Grid.Step;", "Step")]
    [InlineData("[System.ComponentModel.TypeConverter(typeof(Beta.Grid))] public int Field;", "Field")]
    [InlineData("public bool M(object o) => o is Beta.Grid;", ".M")]
    public void A_format_that_reaches_into_another_is_named(string planted, string expected)
    {
        string offence = Assert.Single(Check(planted).Select(offence => offence).Take(1));

        Assert.StartsWith("TorchAO.Formats.Alpha.Card", offence, StringComparison.Ordinal);
        Assert.Contains("must not use TorchAO.Formats.Beta.Grid", offence, StringComparison.Ordinal);
        Assert.Contains("Formats/Alpha → Formats/Beta", offence, StringComparison.Ordinal);
        Assert.Contains(Check(planted), line => line.Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("public Kernels.Inner? Field;")]
    [InlineData("public void M() => Tensors.Store.Save();")]
    [InlineData("public System.Collections.Generic.List<int> Field = [];")]
    public void A_format_that_stays_in_its_folder_and_below_is_left_alone(string planted)
        => Assert.Empty(Check(planted));

    [Fact]
    public void A_lower_room_that_looks_up_is_named()
    {
        string offence = Assert.Single(CheckSource("""
            namespace TorchAO.Tensors { public class Low { public void M() => new TorchAO.Lifecycle.High(); } }
            namespace TorchAO.Lifecycle { public class High { } }
            """));

        Assert.Equal("TorchAO.Tensors.Low.M must not use TorchAO.Lifecycle.High (.ctor): Tensors → Lifecycle", offence);
    }

    [Fact]
    public void A_type_in_no_room_is_named()
    {
        string offence = Assert.Single(CheckSource("namespace Elsewhere { public class Stray { } }"));

        Assert.StartsWith("Elsewhere.Stray", offence, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_the_list_of_built_in_formats_may_name_them()
    {
        string[] offences = CheckSource("""
            namespace TorchAO.Formats { public class BuiltInFormats { public Alpha.Card? Card; } }
            namespace TorchAO.Formats { public class FormatCatalog { public Alpha.Card? Card; } }
            namespace TorchAO.Formats.Alpha { public class Card { } }
            """);

        Assert.Contains("TorchAO.Formats.FormatCatalog.Card", Assert.Single(offences), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_room_that_a_row_names_exists()
    {
        RoomTable table = new([new("A", "Planted.A", "B"), new("B", "Planted.B")]);

        Assert.Equal("A", table.Find("Planted.A.Deep", "X")!.Value.Instance);
        Assert.Null(table.Find("Planted.C", "X"));
        Assert.Null(table.Find("Planted.Apple", "X"));
    }

    private static string[] Check(string planted) => CheckSource($$"""
        namespace TorchAO.Formats.Alpha { public class Card { {{planted}} } }
        namespace TorchAO.Formats.Alpha.Kernels { public class Inner { } }
        namespace TorchAO.Formats.Beta { public class Grid { public static int Step = 1; } }
        namespace TorchAO.Tensors { public static class Store { public static void Save() { } } }
        """);

    private static string[] CheckSource(string source)
    {
        using MemoryStream image = InMemoryCompiler.Library("Planted", source);
        using ModuleDefinition module = ModuleDefinition.ReadModule(image);
        return [.. RoomChecker.Check(module, RoomTable.Product)];
    }
}
