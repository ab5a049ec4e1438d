using Xunit;

namespace TorchAO.Architecture.Tests.Budgets;

public sealed class SourceBudgetTests
{
    private const int SourceLines = 600;
    private const int TestLines = 800;
    private const int MethodLines = 80;

    // Methods that may be longer, each with its reason. A table or an unrolled kernel reads better in one piece.
    private static readonly Dictionary<string, string> longMethods = [];

    private static readonly SourceFile[] product =
        [.. Repository.Sources("src").Select(path => new SourceFile(path, Repository.Read(path)))];

    [Fact]
    public void No_source_file_is_longer_than_its_budget()
    {
        IEnumerable<string> kernels = Repository.Files.Where(file => Path.GetExtension(file) is ".cu" or ".cuh");
        IEnumerable<string> offences =
            from path in Repository.Sources("src", "tests", "bench", "examples").Concat(kernels)
            let limit = path.StartsWith("src/", StringComparison.Ordinal) && path.EndsWith(".cs", StringComparison.Ordinal)
                ? SourceLines : TestLines
            let lines = File.ReadLines(Repository.FullPath(path)).Count()
            where lines > limit
            select $"{path}: {lines} lines, allowed {limit}";

        Offences.AssertNone(offences, "Split the file; raising the number needs an ADR.");
    }

    [Fact]
    public void No_method_is_longer_than_eighty_lines()
    {
        IEnumerable<string> offences =
            from file in product
            from method in file.MethodsLongerThan(MethodLines)
            where !longMethods.ContainsKey($"{file.Path}:{method.Name}")
            select $"{file.Path}({method.Line}) {method.Name}: {method.Lines} lines";

        Offences.AssertNone(offences, "Split the method, or add it to longMethods with the reason.");
    }

    [Fact]
    public void Every_exempted_method_still_needs_its_exemption()
    {
        HashSet<string> needed =
        [
            .. product.SelectMany(file => file.MethodsLongerThan(MethodLines).Select(m => $"{file.Path}:{m.Name}")),
        ];

        Offences.AssertNone(longMethods.Keys.Where(key => !needed.Contains(key)), "Remove the entry.");
    }

    [Fact]
    public void Each_file_declares_one_public_type_and_is_named_after_it()
        => Offences.AssertNone(product.SelectMany(file => file.PublicTypesOutOfPlace()), "Give each type its file.");

    [Fact]
    public void Every_namespace_is_its_folder()
    {
        IEnumerable<string> offences =
            from file in product.Concat(Repository.Sources("tests").Select(p => new SourceFile(p, Repository.Read(p))))
            let folder = Path.GetDirectoryName(file.Path)!.Replace('\\', '/')
            let expected = string.Join('.', folder.Split('/').Skip(1))
            from found in file.Namespaces
            where found != expected
            select $"{file.Path}: namespace {found}, expected {expected}";

        Offences.AssertNone(offences, "Move the file or correct the namespace.");
    }

    [Fact]
    public void Every_public_member_has_a_summary()
        => Offences.AssertNone(
            product.SelectMany(file => file.UndocumentedPublicMembers()),
            "Say in one sentence what it does, with shapes, units, errors and who disposes the result.");

    [Fact]
    public void Unsafe_code_stays_in_Runtime_Numerics_and_kernel_folders()
    {
        IEnumerable<string> offences =
            from file in product
            where !MayBeUnsafe(file.Path)
            from line in file.UnsafeLines()
            select $"{file.Path}({line})";

        Offences.AssertNone(offences, "Use TensorMemory, or move the loop to a Kernels folder.");
    }

    [Fact]
    public void Native_functions_are_imported_in_Runtime_alone()
    {
        IEnumerable<string> offences =
            from file in product
            where !file.Path.StartsWith("src/TorchAO.Runtime/", StringComparison.Ordinal)
            from line in file.PlatformInvokeLines()
            select $"{file.Path}({line})";

        Offences.AssertNone(offences, "Put the import in TorchAO.Runtime and call it from there.");
    }

    internal static bool MayBeUnsafe(string path)
        => path.StartsWith("src/TorchAO.Runtime/", StringComparison.Ordinal)
            || path.StartsWith("src/TorchAO.Numerics/", StringComparison.Ordinal)
            || path.Contains("/Kernels/", StringComparison.Ordinal);
}
