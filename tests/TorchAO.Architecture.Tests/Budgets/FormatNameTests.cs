using Xunit;

namespace TorchAO.Architecture.Tests.Budgets;

public sealed class FormatNameTests
{
    private static readonly SourceFile card = new(
        "src/TorchAO/Formats/Int8/Int8Format.cs",
        "namespace TorchAO.Formats.Int8; public sealed class Int8Format { string Name => \"int8\"; }");

    [Fact]
    public void No_file_names_a_format_outside_its_folder()
    {
        SourceFile[] sources =
            [.. Repository.Sources("src").Select(path => new SourceFile(path, Repository.Read(path)))];
        FormatNames names = new(sources);

        Offences.AssertNone(
            sources.SelectMany(names.Find),
            "Ask the catalogue instead. Only BuiltInFormats.cs, the façade in src/TorchAO, Checkpoints/Dialects and the "
            + "CLI may name formats.");
    }

    [Theory]
    [InlineData("class A { Int8Format? field; }", "names the type Int8Format")]
    [InlineData("class A { bool M(object o) => o is Formats.Int8.Int8Format; }", "names the type Int8Format")]
    [InlineData("class A { bool M(string name) => name == \"int8\"; }", "names the format \"int8\"")]
    public void A_planted_name_is_found(string source, string expected)
    {
        FormatNames names = new([card]);

        string offence = Assert.Single(names.Find(new SourceFile("src/TorchAO/Lifecycle/A.cs", source)));

        Assert.Equal($"src/TorchAO/Lifecycle/A.cs(1) {expected}", offence);
    }

    [Theory]
    [InlineData("src/TorchAO/Formats/BuiltInFormats.cs")]
    [InlineData("src/TorchAO/ModelExtensions.cs")]
    [InlineData("src/TorchAO/Checkpoints/Dialects/Gptq.cs")]
    [InlineData("src/TorchAO/Formats/Int8/Kernels/Int8LinearCpu.cs")]
    public void A_place_that_may_name_formats_is_left_alone(string path)
        => Assert.Empty(new FormatNames([card]).Find(new SourceFile(path, "class A { Int8Format? field; }")));

    [Fact]
    public void A_comment_is_not_code()
        => Assert.Empty(new FormatNames([card]).Find(
            new SourceFile("src/TorchAO/Lifecycle/A.cs", "class A { } // as Int8Format does with \"int8\"")));
}
