namespace TorchAO.Architecture.Tests.Rooms;

/// <summary>One row of the table of rooms.</summary>
/// <param name="Name">The name that other rows use; <c>Formats/*</c> stands for one room a child namespace.</param>
/// <param name="Scope">
/// A full type name, a namespace (with all below it), or a namespace that ends in <c>.*</c>: a room for each child.
/// </param>
/// <param name="MayUse">Names of the rooms whose types this room may mention. Itself is always allowed.</param>
internal sealed record Room(string Name, string Scope, params string[] MayUse);
