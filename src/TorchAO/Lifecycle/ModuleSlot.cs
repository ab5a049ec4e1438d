using System.Collections;
using System.Reflection;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>One place of a model that holds a reference to a module: what a swap writes to.</summary>
internal abstract class ModuleSlot
{
    /// <summary>Says whether the place can hold a module of another class.</summary>
    public abstract bool Admits(Type module);

    /// <summary>Puts another module in the place.</summary>
    public abstract void Set(nn.Module module);
}

/// <summary>A field of a module; read-only fields and those behind automatic properties too.</summary>
internal sealed class FieldSlot(object owner, FieldInfo field) : ModuleSlot
{
    public override bool Admits(Type module) => field.FieldType.IsAssignableFrom(module);

    public override void Set(nn.Module module) => field.SetValue(owner, module);

    public override string ToString() => $"{field.DeclaringType!.Name}.{ModuleWalker.CleanName(field.Name)} of type {field.FieldType.Name}";
}

/// <summary>An element of an array or a list.</summary>
internal sealed class ListSlot(IList list, int index, Type elementType) : ModuleSlot
{
    public override bool Admits(Type module) => elementType.IsAssignableFrom(module) && (list is Array || !list.IsReadOnly);

    public override void Set(nn.Module module) => list[index] = module;

    public override string ToString() => $"element {index} of {list.GetType().Name}";
}

/// <summary>A list element that pairs a name with a module, as TorchSharp's <c>ModuleDict</c> keeps them.</summary>
internal sealed class NamedListSlot(IList list, int index, string key, Type elementType) : ModuleSlot
{
    public override bool Admits(Type module) => elementType.GetGenericArguments()[1].IsAssignableFrom(module);

    public override void Set(nn.Module module) => list[index] = Activator.CreateInstance(elementType, key, module);

    public override string ToString() => $"entry '{key}'";
}

/// <summary>A value of a dictionary.</summary>
internal sealed class DictionarySlot(IDictionary dictionary, object key, Type valueType) : ModuleSlot
{
    public override bool Admits(Type module) => valueType.IsAssignableFrom(module) && !dictionary.IsReadOnly;

    public override void Set(nn.Module module) => dictionary[key] = module;

    public override string ToString() => $"entry '{key}'";
}

/// <summary>TorchSharp's register of a module's children, which <c>state_dict</c>, <c>to</c> and <c>named_modules</c> read.</summary>
internal sealed class RegistrySlot(nn.Module owner, string name) : ModuleSlot
{
    private static readonly FieldInfo Children = typeof(nn.Module).GetField(
        "_internal_submodules", BindingFlags.Instance | BindingFlags.NonPublic)
        ?? throw new MissingFieldException("TorchSharp's Module has no field _internal_submodules; use TorchSharp 0.107.");

    public override bool Admits(Type module) => true;

    public override void Set(nn.Module module)
    {
        var children = (TorchSharp.Utils.OrderedDict<string, nn.Module>)Children.GetValue(owner)!;
        if (children.ContainsKey(name))
        {
            children[name] = module;
        }
    }
}
