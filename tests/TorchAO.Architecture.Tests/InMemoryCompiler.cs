using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace TorchAO.Architecture.Tests;

/// <summary>Compiles C# text against the framework and, on demand, the product: no SDK, no network, no files.</summary>
internal static class InMemoryCompiler
{
    // The namespaces that ImplicitUsings gives an ordinary console project.
    private const string ImplicitUsings = """
        global using global::System;
        global using global::System.Collections.Generic;
        global using global::System.IO;
        global using global::System.Linq;
        global using global::System.Net.Http;
        global using global::System.Threading;
        global using global::System.Threading.Tasks;
        """;

    private static readonly CSharpParseOptions parseOptions = new(LanguageVersion.CSharp14);

    private static readonly Lazy<MetadataReference[]> framework = new(() => [.. References(IsFramework)]);

    private static readonly Lazy<MetadataReference[]> product = new(() => [.. References(IsProduct)]);

    public static SyntaxTree Parse(string source, string path = "")
        => CSharpSyntaxTree.ParseText(source, parseOptions, path);

    public static CSharpCompilation Program(string name, SyntaxTree tree)
        => Create(name, tree, OutputKind.ConsoleApplication, [.. framework.Value, .. product.Value]);

    public static CSharpCompilation FrameworkProgram(string name, string source)
        => Create(name, Parse(source), OutputKind.ConsoleApplication, framework.Value);

    /// <summary>Compiles a library and returns its image, to plant a fault where a checker must see it.</summary>
    public static MemoryStream Library(string name, string source)
    {
        MemoryStream image = new();
        CSharpCompilation compilation =
            Create(name, Parse(source), OutputKind.DynamicallyLinkedLibrary, framework.Value);
        Microsoft.CodeAnalysis.Emit.EmitResult result = compilation.Emit(image);
        if (!result.Success)
        {
            throw new InvalidOperationException(string.Join('\n', result.Diagnostics));
        }

        image.Position = 0;
        return image;
    }

    private static CSharpCompilation Create(
        string name, SyntaxTree tree, OutputKind kind, IEnumerable<MetadataReference> references)
    {
        CSharpCompilationOptions options = new(kind, nullableContextOptions: NullableContextOptions.Enable);
        return CSharpCompilation.Create(name, [Parse(ImplicitUsings), tree], references, options);
    }

    private static IEnumerable<MetadataReference> References(Func<string, bool> wanted)
        => ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Where(wanted)
            .Select(path => MetadataReference.CreateFromFile(path));

    private static bool IsFramework(string path)
        => Path.GetDirectoryName(path) == Path.GetDirectoryName(typeof(object).Assembly.Location);

    private static bool IsProduct(string path)
        => Path.GetFileName(path) is "TorchSharp.dll" or "TorchAO.dll"
            or "TorchAO.Numerics.dll" or "TorchAO.Runtime.dll" or "TorchAO.Models.dll";
}
