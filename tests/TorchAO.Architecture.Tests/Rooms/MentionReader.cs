using Mono.Cecil;
using Mono.Cecil.Cil;

namespace TorchAO.Architecture.Tests.Rooms;

/// <summary>
/// Reads from a compiled module every type that each member mentions: bases, interfaces, attributes, constraints,
/// signatures, locals, handlers and each instruction. No spelling in the source (alias, relative name, static using,
/// var) can hide from it; only constants can, because the compiler copies their values.
/// </summary>
internal sealed class MentionReader
{
    private readonly List<Mention> mentions = [];
    private string @namespace = "";
    private string type = "";
    private string member = "";

    public static IReadOnlyCollection<Mention> Read(ModuleDefinition module)
    {
        MentionReader reader = new();
        foreach (TypeDefinition outer in module.Types.Where(outer => !outer.Name.StartsWith('<')))
        {
            (reader.@namespace, reader.type) = (outer.Namespace, outer.Name);
            reader.ReadType(outer);
        }

        return [.. reader.mentions.Distinct()];
    }

    private void ReadType(TypeDefinition definition)
    {
        member = definition.IsNested ? definition.Name : "";
        Add(definition.BaseType);
        ReadAttributes(definition);
        ReadGenerics(definition);
        foreach (InterfaceImplementation implemented in definition.Interfaces)
        {
            Add(implemented.InterfaceType);
            ReadAttributes(implemented);
        }

        foreach (FieldDefinition field in definition.Fields)
        {
            member = field.Name;
            Add(field.FieldType);
            ReadAttributes(field);
        }

        foreach (PropertyDefinition property in definition.Properties)
        {
            member = property.Name;
            ReadAttributes(property);
        }

        foreach (EventDefinition definedEvent in definition.Events)
        {
            member = definedEvent.Name;
            Add(definedEvent.EventType);
            ReadAttributes(definedEvent);
        }

        foreach (MethodDefinition method in definition.Methods)
        {
            member = method.Name;
            ReadMethod(method);
        }

        foreach (TypeDefinition nested in definition.NestedTypes)
        {
            ReadType(nested);
        }
    }

    private void ReadMethod(MethodDefinition method)
    {
        AddSignature(method);
        ReadAttributes(method);
        ReadAttributes(method.MethodReturnType);
        ReadGenerics(method);
        foreach (ParameterDefinition parameter in method.Parameters)
        {
            ReadAttributes(parameter);
        }

        foreach (MethodReference overridden in method.Overrides)
        {
            Add(overridden.DeclaringType, overridden.Name);
        }

        if (!method.HasBody)
        {
            return;
        }

        foreach (VariableDefinition local in method.Body.Variables)
        {
            Add(local.VariableType);
        }

        foreach (ExceptionHandler handler in method.Body.ExceptionHandlers)
        {
            Add(handler.CatchType);
        }

        foreach (Instruction instruction in method.Body.Instructions)
        {
            ReadOperand(instruction.Operand);
        }
    }

    private void ReadOperand(object? operand)
    {
        switch (operand)
        {
            case MethodReference method:
                Add(method.DeclaringType, method.Name);
                AddSignature(method);
                foreach (TypeReference argument in (method as GenericInstanceMethod)?.GenericArguments ?? [])
                {
                    Add(argument);
                }

                break;
            case FieldReference field:
                Add(field.DeclaringType, field.Name);
                Add(field.FieldType);
                break;
            case TypeReference mentioned:
                Add(mentioned);
                break;
            case CallSite site:
                AddSignature(site);
                break;
        }
    }

    private void ReadAttributes(ICustomAttributeProvider provider)
    {
        foreach (CustomAttribute attribute in provider.CustomAttributes)
        {
            Add(attribute.AttributeType);
            IEnumerable<CustomAttributeArgument> named =
                attribute.Properties.Concat(attribute.Fields).Select(argument => argument.Argument);
            foreach (CustomAttributeArgument argument in attribute.ConstructorArguments.Concat(named))
            {
                ReadArgument(argument);
            }
        }
    }

    private void ReadArgument(CustomAttributeArgument argument)
    {
        Add(argument.Type);
        switch (argument.Value)
        {
            case TypeReference mentioned:
                Add(mentioned);
                break;
            case CustomAttributeArgument boxed:
                ReadArgument(boxed);
                break;
            case CustomAttributeArgument[] elements:
                Array.ForEach(elements, ReadArgument);
                break;
        }
    }

    private void ReadGenerics(IGenericParameterProvider provider)
    {
        foreach (GenericParameter parameter in provider.GenericParameters)
        {
            ReadAttributes(parameter);
            foreach (GenericParameterConstraint constraint in parameter.Constraints)
            {
                Add(constraint.ConstraintType);
            }
        }
    }

    private void AddSignature(IMethodSignature signature)
    {
        Add(signature.ReturnType);
        foreach (ParameterDefinition parameter in signature.Parameters)
        {
            Add(parameter.ParameterType);
        }
    }

    private void Add(TypeReference? mentioned, string usedMember = "")
    {
        switch (mentioned)
        {
            case null or GenericParameter:
                return;
            case FunctionPointerType pointer:
                AddSignature(pointer);
                return;
            case GenericInstanceType generic:
                foreach (TypeReference argument in generic.GenericArguments)
                {
                    Add(argument);
                }

                Add(generic.ElementType, usedMember);
                return;
            case IModifierType modified:
                Add(modified.ModifierType);
                Add(modified.ElementType, usedMember);
                return;
            case TypeSpecification specification:
                Add(specification.ElementType, usedMember);
                return;
        }

        while (mentioned.DeclaringType is not null)
        {
            mentioned = mentioned.DeclaringType;
        }

        mentions.Add(new Mention(@namespace, type, member, mentioned.Namespace, mentioned.Name, usedMember));
    }
}
