using Xunit;

namespace TorchAO.Architecture.Tests.Budgets;

/// <summary>Plants one fault for each budget that reads C#.</summary>
public sealed class SourceFileTests
{
    [Fact]
    public void A_long_method_is_found_with_its_length()
    {
        SourceFile file = new("src/A.cs", $"class A\n{{\n    void M()\n    {{\n{Lines(90)}    }}\n}}\n");

        Assert.Equal(("M", 93, 3), Assert.Single(file.MethodsLongerThan(80)));
    }

    [Fact]
    public void A_long_accessor_is_found()
    {
        SourceFile file = new("src/A.cs", $"class A\n{{\n    int P\n    {{\n    get\n    {{\n{Lines(90)}    }}\n    }}\n}}\n");

        Assert.Equal("P.get", Assert.Single(file.MethodsLongerThan(80)).Name);
    }

    [Theory]
    [InlineData("public class A { } public class B { }", "declares 2 public types: A, B")]
    [InlineData("public class B { }", "declares the public type B")]
    [InlineData("public enum B { }", "declares the public type B")]
    public void A_public_type_out_of_place_is_found(string source, string expected)
        => Assert.Equal($"src/A.cs {expected}", Assert.Single(new SourceFile("src/A.cs", source).PublicTypesOutOfPlace()));

    [Theory]
    [InlineData("public class A { public class Nested { } } internal class Handler { }")]
    [InlineData("public class A<T> { } public class A { }")]
    public void A_companion_of_the_public_type_may_stay(string source)
        => Assert.Empty(new SourceFile("src/A.cs", source).PublicTypesOutOfPlace());

    [Theory]
    [InlineData("public class A { }", "A")]
    [InlineData("/// <summary></summary>\npublic class A { }", "A")]
    [InlineData("/// <summary>Says.</summary>\npublic class A { public int P { get; } }", "P")]
    [InlineData("/// <summary>Says.</summary>\npublic interface A { void M(); }", "M")]
    [InlineData("/// <summary>Says.</summary>\npublic enum A { One }", "One")]
    public void A_public_member_without_words_is_found(string source, string name)
        => Assert.EndsWith(
            $" {name}", Assert.Single(new SourceFile("src/A.cs", source).UndocumentedPublicMembers()),
            StringComparison.Ordinal);

    [Theory]
    [InlineData("internal class A { public int P { get; } }")]
    [InlineData("/// <summary>Says.</summary>\npublic class A { int hidden; internal void M() { } }")]
    [InlineData("/// <summary>Says.</summary>\npublic class A { /// <inheritdoc/>\npublic override string ToString() => \"\"; }")]
    public void A_member_that_nobody_outside_sees_needs_no_words(string source)
        => Assert.Empty(new SourceFile("src/A.cs", source).UndocumentedPublicMembers());

    [Theory]
    [InlineData("unsafe class A { }")]
    [InlineData("class A { void M() { unsafe { } } }")]
    [InlineData("class A { unsafe void M(int* p) { } }")]
    public void Unsafe_code_is_found(string source)
        => Assert.Equal([1], new SourceFile("src/A.cs", source).UnsafeLines());

    [Theory]
    [InlineData("[DllImport(\"c\")] static extern int getpid();")]
    [InlineData("[System.Runtime.InteropServices.LibraryImport(\"c\")] static partial int getpid();")]
    public void A_native_import_is_found(string member)
        => Assert.Equal([1], new SourceFile("src/A.cs", $"class A {{ {member} }}").PlatformInvokeLines());

    [Theory]
    [InlineData("src/TorchAO/Lifecycle/Walker.cs", false)]
    [InlineData("src/TorchAO/Formats/Int8/Int8Grid.cs", false)]
    [InlineData("src/TorchAO/Formats/Int8/Kernels/Int8Dot.cs", true)]
    [InlineData("src/TorchAO.Runtime/Memory/TensorMemory.cs", true)]
    public void Unsafe_code_has_its_places(string path, bool allowed)
        => Assert.Equal(allowed, SourceBudgetTests.MayBeUnsafe(path));

    private static string Lines(int count) => string.Concat(Enumerable.Repeat("        ;\n", count));
}
