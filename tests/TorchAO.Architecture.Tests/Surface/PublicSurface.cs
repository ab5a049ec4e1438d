using System.Text;
using Mono.Cecil;

namespace TorchAO.Architecture.Tests.Surface;

/// <summary>Writes what an assembly offers to its callers as text: one sorted line a type and a member.</summary>
internal static class PublicSurface
{
    private static readonly Dictionary<string, string> keywords = new()
    {
        ["System.Void"] = "void",
        ["System.Object"] = "object",
        ["System.String"] = "string",
        ["System.Boolean"] = "bool",
        ["System.Char"] = "char",
        ["System.SByte"] = "sbyte",
        ["System.Byte"] = "byte",
        ["System.Int16"] = "short",
        ["System.UInt16"] = "ushort",
        ["System.Int32"] = "int",
        ["System.UInt32"] = "uint",
        ["System.Int64"] = "long",
        ["System.UInt64"] = "ulong",
        ["System.Single"] = "float",
        ["System.Double"] = "double",
        ["System.Decimal"] = "decimal",
        ["System.IntPtr"] = "nint",
        ["System.UIntPtr"] = "nuint",
    };

    // What a record's compiler writes says nothing that "record" does not say.
    private static readonly string[] recordMembers =
        ["<Clone>$", "EqualityContract", "Equals", "GetHashCode", "PrintMembers", "ToString", "op_Equality",
            "op_Inequality", "get_EqualityContract"];

    public static string Write(ModuleDefinition module)
    {
        IEnumerable<string> lines = module.Types.Where(type => type.IsPublic)
            .OrderBy(type => type.FullName, StringComparer.Ordinal).SelectMany(type => Write(type));
        return string.Concat(lines.Select(line => line + '\n'));
    }

    private static IEnumerable<string> Write(TypeDefinition type)
    {
        yield return Head(type);
        if (IsDelegate(type))
        {
            yield break;
        }

        foreach (string member in Members(type).Order(StringComparer.Ordinal))
        {
            yield return "    " + member;
        }

        IEnumerable<TypeDefinition> nested = type.NestedTypes.Where(IsVisible);
        foreach (string line in nested.OrderBy(inner => inner.Name, StringComparer.Ordinal).SelectMany(Write))
        {
            yield return line;
        }
    }

    private static IEnumerable<string> Members(TypeDefinition type)
    {
        bool isRecord = IsRecord(type);
        foreach (FieldDefinition field in type.Fields.Where(f => (f.IsPublic || f.IsFamily) && !f.IsSpecialName))
        {
            yield return type.IsEnum ? $"{field.Name} = {field.Constant}"
                : $"{(field.IsLiteral ? "const " : field.IsStatic ? "static " : "")}"
                    + $"{(field.IsInitOnly ? "readonly " : "")}{Name(field.FieldType)} {field.Name}"
                    + (field.HasConstant ? $" = {Constant(field.Constant)}" : "");
        }

        foreach (PropertyDefinition property in type.Properties)
        {
            string[] accessors = [.. Accessors(property)];
            if (accessors.Length > 0 && !(isRecord && recordMembers.Contains(property.Name)))
            {
                MethodDefinition any = property.GetMethod ?? property.SetMethod;
                string index = property.HasParameters ? $"[{Parameters(property.Parameters)}]" : "";
                yield return $"{Modifiers(any)}{Name(property.PropertyType)} {property.Name}{index} "
                    + $"{{ {string.Join(' ', accessors)} }}";
            }
        }

        foreach (EventDefinition defined in type.Events.Where(defined => IsVisible(defined.AddMethod)))
        {
            yield return $"event {Name(defined.EventType)} {defined.Name}";
        }

        foreach (MethodDefinition method in type.Methods.Where(IsVisible))
        {
            bool isOperator = method.Name.StartsWith("op_", StringComparison.Ordinal);
            if ((method.IsSpecialName && !method.IsConstructor && !isOperator)
                || (isRecord && IsWrittenByCompiler(method)))
            {
                continue;
            }

            string generics = method.HasGenericParameters
                ? $"<{string.Join(", ", method.GenericParameters.Select(parameter => parameter.Name))}>" : "";
            yield return method.IsConstructor
                ? $"new({Parameters(method.Parameters)})"
                : $"{Modifiers(method)}{Name(method.ReturnType)} {method.Name}{generics}({Parameters(method.Parameters)})";
        }
    }

    private static IEnumerable<string> Accessors(PropertyDefinition property)
    {
        if (property.GetMethod is { } get && IsVisible(get))
        {
            yield return "get;";
        }

        if (property.SetMethod is { } set && IsVisible(set))
        {
            yield return set.ReturnType is IModifierType ? "init;" : "set;";
        }
    }

    private static string Head(TypeDefinition type)
    {
        string kind = type.IsInterface ? "interface" : type.IsEnum ? "enum" : IsDelegate(type) ? "delegate"
            : IsRecord(type) ? (type.IsValueType ? "record struct" : "record") : type.IsValueType ? "struct" : "class";
        string modifiers = type is { IsAbstract: true, IsSealed: true } ? "static "
            : type is { IsAbstract: true, IsInterface: false } ? "abstract "
            : type is { IsSealed: true, IsValueType: false } && !IsDelegate(type) ? "sealed " : "";
        string[] bases =
        [
            .. type.BaseType is null || type.IsEnum || type.IsValueType || IsDelegate(type)
                || type.BaseType.FullName == "System.Object" ? [] : (string[])[Name(type.BaseType)],
            .. type.Interfaces.Select(implemented => Name(implemented.InterfaceType))
                .Where(name => !name.StartsWith("System.IEquatable<", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];
        string invoke = IsDelegate(type)
            ? $"({Parameters(type.Methods.Single(method => method.Name == "Invoke").Parameters)})" : "";
        return $"{modifiers}{kind} {Name(type)}{invoke}" + (bases.Length == 0 || type.IsEnum ? ""
            : $" : {string.Join(", ", bases)}");
    }

    private static string Parameters(IEnumerable<ParameterDefinition> parameters)
        => string.Join(", ", parameters.Select(parameter =>
            $"{Name(parameter.ParameterType)} {parameter.Name}"
            + (parameter.HasConstant ? $" = {Constant(parameter.Constant)}" : parameter.IsOptional ? " = default" : "")));

    private static string Constant(object? value) => value switch
    {
        null => "null",
        string text => $"\"{text}\"",
        bool flag => flag ? "true" : "false",
        IFormattable number => number.ToString(null, System.Globalization.CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    private static string Modifiers(MethodDefinition method)
        => method.DeclaringType.IsInterface ? (method.IsStatic ? "static " : "")
            : (method.IsFamily || method.IsFamilyOrAssembly ? "protected " : "")
                + (method.IsStatic ? "static "
                    : method.IsAbstract ? "abstract "
                    : method.IsVirtual && !method.IsNewSlot ? "override "
                    : method is { IsVirtual: true, IsFinal: false } ? "virtual " : "");

    private static string Name(TypeReference type)
    {
        switch (type)
        {
            case GenericParameter parameter:
                return parameter.Name;
            case ArrayType array:
                return $"{Name(array.ElementType)}[{new string(',', array.Rank - 1)}]";
            case ByReferenceType reference:
                return $"ref {Name(reference.ElementType)}";
            case PointerType pointer:
                return $"{Name(pointer.ElementType)}*";
            case IModifierType modified:
                return Name(modified.ElementType);
            case GenericInstanceType { ElementType.FullName: "System.Nullable`1" } nullable:
                return $"{Name(nullable.GenericArguments[0])}?";
            case GenericInstanceType generic:
                return $"{PlainName(generic)}<{string.Join(", ", generic.GenericArguments.Select(Name))}>";
        }

        string name = keywords.GetValueOrDefault(type.FullName) ?? PlainName(type);
        return type.HasGenericParameters
            ? $"{name}<{string.Join(", ", type.GenericParameters.Select(parameter => parameter.Name))}>" : name;
    }

    private static string PlainName(TypeReference type)
    {
        StringBuilder name = new(type.Name.Split('`')[0]);
        for (TypeReference? outer = type.DeclaringType; outer is not null; outer = outer.DeclaringType)
        {
            name.Insert(0, outer.Name.Split('`')[0] + ".");
            type = outer;
        }

        return type.Namespace.Length == 0 ? name.ToString() : $"{type.Namespace}.{name}";
    }

    private static bool IsWrittenByCompiler(MethodDefinition method)
        => recordMembers.Contains(method.Name)
            || method.CustomAttributes.Any(attribute => attribute.AttributeType.Name == "CompilerGeneratedAttribute");

    private static bool IsRecord(TypeDefinition type)
        => type.Methods.Any(method => method.Name is "<Clone>$" or "PrintMembers");

    private static bool IsDelegate(TypeDefinition type) => type.BaseType?.FullName == "System.MulticastDelegate";

    private static bool IsVisible(TypeDefinition type)
        => type.IsNestedPublic || type.IsNestedFamily || type.IsNestedFamilyOrAssembly;

    private static bool IsVisible(MethodDefinition method)
        => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;
}
