using Mono.Cecil;
using Xunit;

namespace TorchAO.Architecture.Tests.Rooms;

public sealed class RoomTests
{
    private static readonly Dictionary<string, string[]> packages = new()
    {
        ["TorchAO.Numerics"] = [],
        ["TorchAO.Runtime"] = ["TorchAO.Numerics", "TorchSharp"],
        ["TorchAO"] = ["TorchAO.Numerics", "TorchAO.Runtime", "TorchSharp", "Iced"],
        ["TorchAO.Models"] =
            ["TorchAO.Numerics", "TorchAO.Runtime", "TorchAO", "TorchSharp", "Google.Protobuf", "ADRaffy.ENSNormalize"],
        ["TorchAO.Cli"] =
        [
            "TorchAO.Numerics", "TorchAO.Runtime", "TorchAO", "TorchAO.Models", "TorchSharp", "System.CommandLine",
            "Spectre.Console", "Spectre.Console.Ansi",
        ],
    };

    public static TheoryData<string> Assemblies => [.. ProductAssemblies.Names];

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void Each_room_uses_only_the_rooms_that_the_table_allows(string assembly)
    {
        using ModuleDefinition module = ModuleDefinition.ReadModule(ProductAssemblies.PathOf(assembly));

        Offences.AssertNone(
            RoomChecker.Check(module, RoomTable.Product),
            "Move what both need to a lower room, or change RoomTable.cs together with an ADR in docs/adr.");
    }

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void Each_assembly_references_only_what_its_room_is_for(string assembly)
    {
        using ModuleDefinition module = ModuleDefinition.ReadModule(ProductAssemblies.PathOf(assembly));

        IEnumerable<string> offences = module.AssemblyReferences.Select(reference => reference.Name)
            .Where(name => !IsFramework(name) && !packages[assembly].Contains(name))
            .Select(name => $"{assembly} references {name}");

        Offences.AssertNone(offences, "A dependency is a decision: write an ADR and add it to RoomTests.packages.");
    }

    [Fact]
    public void No_two_assemblies_differ_by_case_alone()
        // The runtime binds names without regard to case: torchao.dll that references TorchAO.dll finds itself.
        => Assert.Equal(
            ProductAssemblies.Names.Count, ProductAssemblies.Names.Distinct(StringComparer.OrdinalIgnoreCase).Count());

    private static bool IsFramework(string name)
        => name != "System.CommandLine" && name.StartsWith("System.", StringComparison.Ordinal);
}
