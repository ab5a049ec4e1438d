namespace TorchAO.Architecture.Tests.Rooms;

/// <summary>One place in compiled code where a member mentions a type.</summary>
/// <param name="Namespace">The namespace of the outermost type that holds the member.</param>
/// <param name="Type">The outermost type that holds the member.</param>
/// <param name="Member">The member, as written by the compiler.</param>
/// <param name="UsedNamespace">The namespace of the outermost type that is mentioned.</param>
/// <param name="UsedType">The outermost type that is mentioned.</param>
/// <param name="UsedMember">The called method or touched field; empty where the type itself is meant.</param>
internal sealed record Mention(
    string Namespace, string Type, string Member, string UsedNamespace, string UsedType, string UsedMember);
