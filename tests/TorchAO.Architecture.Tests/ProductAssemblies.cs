namespace TorchAO.Architecture.Tests;

/// <summary>The assemblies that the repository ships, bottom room first.</summary>
internal static class ProductAssemblies
{
    public static IReadOnlyList<string> Names { get; } =
        ["TorchAO.Numerics", "TorchAO.Runtime", "TorchAO", "TorchAO.Models", "TorchAO.Cli"];

    public static IEnumerable<string> Paths => Names.Select(PathOf);

    public static string PathOf(string name)
    {
        string path = Path.Combine(AppContext.BaseDirectory, name + ".dll");
        return File.Exists(path) ? path : throw new FileNotFoundException($"{name} was not built beside the tests", path);
    }
}
