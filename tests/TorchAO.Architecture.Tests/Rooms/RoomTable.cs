namespace TorchAO.Architecture.Tests.Rooms;

/// <summary>Says in which room a type lives and which rooms it may mention.</summary>
internal sealed class RoomTable(IReadOnlyList<Room> rooms)
{
    /// <summary>Gets the rooms of the product, from the bottom up.</summary>
    public static RoomTable Product { get; } = new(
    [
        new("Errors", "TorchAO.QuantizationException"),
        new("Errors", "TorchAO.NearNames"),
        new("Errors", "TorchAO.Checkpoints.CheckpointException", "Errors"),
        new("Errors", "TorchAO.Checkpoints.CheckpointError"),

        new("Numerics", "TorchAO.Numerics"),
        new("Runtime", "TorchAO.Runtime", "Numerics"),

        new("Primitives", "TorchAO.Primitives", "Errors", "Numerics", "Runtime"),
        new("Configuration", "TorchAO.Configuration", "Errors", "Primitives"),
        new("Tensors", "TorchAO.Tensors", "Errors", "Primitives", "Numerics", "Runtime"),
        new("Kernels", "TorchAO.Kernels", "Errors", "Tensors", "Primitives", "Numerics", "Runtime"),
        new("Fused", "TorchAO.Kernels.Fused", "Numerics", "Runtime"),
        new("Modules", "TorchAO.Modules", "Errors", "Kernels", "Tensors", "Primitives", "Runtime"),

        new("BuiltInFormats", "TorchAO.Formats.BuiltInFormats", "Formats", "Formats/*"),
        new("Formats/*", "TorchAO.Formats.*",
            "Errors", "Configuration", "Formats", "Kernels", "Modules", "Primitives", "Tensors", "Runtime", "Numerics"),
        new("Formats", "TorchAO.Formats",
            "Errors", "Configuration", "Kernels", "Modules", "Primitives", "Tensors", "Runtime", "Numerics"),

        new("KvCache", "TorchAO.KvCache", "Errors", "Fused", "Primitives", "Runtime"),

        new("Lifecycle", "TorchAO.Lifecycle",
            "Errors", "Configuration", "Formats", "Kernels", "Modules", "Primitives", "Tensors", "Runtime"),
        new("Algorithms/*", "TorchAO.Algorithms.*",
            "Errors", "Configuration", "Lifecycle", "Formats", "Kernels", "Tensors", "Primitives", "Modules", "Runtime"),
        new("Qat", "TorchAO.Qat",
            "Errors", "Configuration", "Lifecycle", "Formats", "Tensors", "Primitives", "Modules", "Runtime"),

        new("Dialects", "TorchAO.Checkpoints.Dialects",
            "Checkpoints", "Errors", "Configuration", "Formats", "Formats/*", "Primitives", "Tensors", "Runtime",
            "Numerics"),
        new("Checkpoints", "TorchAO.Checkpoints",
            "Errors", "Configuration", "Formats", "Lifecycle", "Modules", "Primitives", "Tensors", "Runtime",
            "Numerics"),
        new("Reporting", "TorchAO.Reporting", "Errors", "Lifecycle", "Tensors", "Primitives", "Runtime"),

        new("Models", "TorchAO.Models",
            "Front", "Errors", "Configuration", "Lifecycle", "Checkpoints", "Formats", "BuiltInFormats", "Fused", "Kernels", "KvCache", "Modules",
            "Primitives", "Tensors", "Reporting", "Runtime", "Numerics"),
        new("Cli", "TorchAO.Cli",
            "Models", "Front", "Errors", "Configuration", "Lifecycle", "Algorithms/*", "Checkpoints", "Formats", "BuiltInFormats",
            "Formats/*", "Kernels", "KvCache", "Modules", "Primitives", "Tensors", "Reporting", "Runtime", "Numerics"),

        new("Front", "TorchAO",
            "Errors", "Configuration", "Lifecycle", "Checkpoints", "Formats", "BuiltInFormats", "Formats/*", "Kernels",
            "Modules", "Primitives", "Tensors", "Reporting", "Algorithms/*", "Qat", "Runtime", "Numerics"),
    ]);

    /// <summary>Finds the room of a type, or <see langword="null"/> where no row of the table matches.</summary>
    /// <remarks>Exact types first, then the longest namespace, so that the order of the rows carries no meaning.</remarks>
    public (string Instance, Room Room)? Find(string @namespace, string typeName)
    {
        string fullName = @namespace.Length == 0 ? typeName : $"{@namespace}.{typeName}";
        Room? exact = rooms.FirstOrDefault(room => room.Scope == fullName);
        if (exact is not null)
        {
            return (exact.Name, exact);
        }

        Room? nearest = rooms.Where(room => Covers(room.Scope, @namespace)).MaxBy(room => room.Scope.Length);
        if (nearest is null)
        {
            return null;
        }

        if (!nearest.Scope.EndsWith(".*", StringComparison.Ordinal))
        {
            return (nearest.Name, nearest);
        }

        string child = @namespace[(nearest.Scope.Length - 1)..].Split('.')[0];
        return (nearest.Name.Replace("*", child, StringComparison.Ordinal), nearest);
    }

    public static bool Allows(Room user, string userInstance, Room used, string usedInstance)
        => userInstance == usedInstance || user.MayUse.Contains(used.Name);

    private static bool Covers(string scope, string @namespace)
        => scope.EndsWith(".*", StringComparison.Ordinal)
            ? @namespace.StartsWith(scope[..^1], StringComparison.Ordinal)
            : @namespace == scope || @namespace.StartsWith(scope + ".", StringComparison.Ordinal);
}
