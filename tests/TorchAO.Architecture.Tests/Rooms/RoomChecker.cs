using Mono.Cecil;

namespace TorchAO.Architecture.Tests.Rooms;

/// <summary>Compares what a compiled module mentions with a table of rooms.</summary>
internal static class RoomChecker
{
    // The host finds the startup hook by its bare name, so this one type cannot have a namespace.
    private const string StartupHook = "StartupHook";

    public static IEnumerable<string> Check(ModuleDefinition module, RoomTable table)
    {
        foreach (TypeDefinition type in module.Types.Where(IsOurs))
        {
            if (table.Find(type.Namespace, type.Name) is null)
            {
                yield return $"{type.FullName} ({module.Name}) lives in no room of the table";
            }
        }

        IEnumerable<IGrouping<string, Mention>> offences = MentionReader.Read(module)
            .Where(mention => IsOffence(mention, table))
            .GroupBy(mention => $"{Place(mention)} must not use {mention.UsedNamespace}.{mention.UsedType}");
        foreach (IGrouping<string, Mention> offence in offences)
        {
            string members = string.Join(", ", offence.Select(mention => mention.UsedMember).Where(name => name != "")
                .Distinct());
            Mention any = offence.First();
            string rooms = $"{table.Find(any.Namespace, any.Type)!.Value.Instance} → "
                + table.Find(any.UsedNamespace, any.UsedType)!.Value.Instance;
            yield return $"{offence.Key}{(members == "" ? "" : $" ({members})")}: {rooms}";
        }
    }

    private static bool IsOurs(TypeDefinition type)
        => !type.Name.StartsWith('<') && type.Namespace.Split('.')[0] is not ("Microsoft" or "System")
            && type is not { Namespace: "", Name: StartupHook or "Program" };

    private static bool IsOffence(Mention mention, RoomTable table)
    {
        if (table.Find(mention.Namespace, mention.Type) is not (string user, Room userRoom)
            || table.Find(mention.UsedNamespace, mention.UsedType) is not (string used, Room usedRoom))
        {
            return false;
        }

        return !RoomTable.Allows(userRoom, user, usedRoom, used);
    }

    private static string Place(Mention mention)
        => mention.Member == "" ? $"{mention.Namespace}.{mention.Type}"
            : $"{mention.Namespace}.{mention.Type}.{mention.Member}";
}
