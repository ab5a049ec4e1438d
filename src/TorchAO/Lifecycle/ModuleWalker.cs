using System.Collections;
using System.Reflection;
using TorchAO.Modules;
using TorchAO.Runtime.Memory;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Finds the layers of any model that may be quantized, with their full names and every place that holds them.</summary>
/// <remarks>
/// A module's children are those it registered, and the modules in its fields: single, in arrays, lists and dictionaries.
/// A layer that is met again, by whatever name, is the same site; a container that is met again is not walked twice.
/// </remarks>
internal sealed class ModuleWalker
{
    public const string RootName = "(root)";

    private const BindingFlags DeclaredFields =
        BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private readonly List<LayerSite> sites = [];
    private readonly List<(string Name, nn.Module Module)> modules = [];
    private readonly Dictionary<nn.Module, LayerSite> byLayer = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<nn.Module> walked = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<nint, string> otherHolders = [];

    private ModuleWalker()
    {
    }

    /// <summary>Lists the linear layers, embeddings and convolutions of a model in the order in which it registered them.</summary>
    public static IReadOnlyList<LayerSite> Find(nn.Module model) => Explore(model).Sites;

    /// <summary>Lists the linear layers, embeddings and convolutions of a model, and all its other modules, in the order in which it registered them.</summary>
    public static ModelTree Explore(nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var walker = new ModuleWalker();
        if (IsLayer(model))
        {
            walker.Meet(RootName, model, []);
        }
        else
        {
            walker.Walk(string.Empty, model);
        }

        walker.FindTies();
        return new ModelTree(walker.sites, walker.modules);
    }

    /// <summary>Turns the compiler's name of an automatic property's field into the property's.</summary>
    public static string CleanName(string name) =>
        name.StartsWith('<') && name.EndsWith(">k__BackingField", StringComparison.Ordinal)
            ? name[1..name.IndexOf('>', StringComparison.Ordinal)]
            : name;

    private static bool IsLayer(nn.Module module) => module is Linear or Embedding or Convolution or QuantizedModule
        || IsOpaque(module);

    // These keep their linear layers inside libtorch, where neither road leads.
    private static bool IsOpaque(nn.Module module) => module is MultiheadAttention
        or Transformer or TransformerEncoder or TransformerEncoderLayer or TransformerDecoder or TransformerDecoderLayer;

    private void Walk(string prefix, nn.Module module)
    {
        if (!walked.Add(module))
        {
            return;
        }

        modules.Add((prefix, module));
        RememberParameters(prefix, module);
        var names = new Dictionary<nn.Module, string>(ReferenceEqualityComparer.Instance);
        var slots = new Dictionary<nn.Module, List<ModuleSlot>>(ReferenceEqualityComparer.Instance);
        foreach ((string name, nn.Module child) in module.named_children())
        {
            names.TryAdd(child, CleanName(name));
            SlotsOf(slots, child).Add(new RegistrySlot(module, name));
        }

        foreach (FieldInfo field in Fields(module.GetType()))
        {
            Collect(module, field, names, slots);
        }

        foreach ((nn.Module child, string name) in names)
        {
            string fullName = Join(prefix, name);
            if (IsLayer(child))
            {
                if (child is Embedding)
                {
                    RememberParameters(fullName, child);
                }

                Meet(fullName, child, slots[child]);
            }
            else
            {
                Walk(fullName, child);
            }
        }
    }

    // A linear layer whose weight one of these is must not take it along.
    private void RememberParameters(string prefix, nn.Module module)
    {
        foreach ((string name, Parameter parameter) in module.named_parameters(recurse: false))
        {
            if (StorageOf(parameter) is { } storage)
            {
                otherHolders.TryAdd(storage, Join(prefix, CleanName(name)));
            }
        }
    }

    // Modules that live in libtorch hand out a new object for the same parameter at each call, so objects cannot be compared.
    // On the meta device there are no addresses; there a parameter is what libtorch takes for one tensor.
    public static nint? StorageOf(Tensor tensor) => tensor switch
    {
        { IsInvalid: true } => null,
        { device_type: DeviceType.META } => TensorContents.Identity(tensor),
        _ => tensor.numel() == 0 || !tensor.is_contiguous() ? null : TensorMemory.DeviceAddress(tensor),
    };

    private void FindTies()
    {
        var shares = new Dictionary<nint, WeightShare>();
        foreach (LayerSite site in sites)
        {
            if (site.Layer is Embedding || site.FloatWeight is not { IsInvalid: false } weight)
            {
                continue;
            }

            site.TiedTo = StorageOf(weight) is { } storage ? otherHolders.GetValueOrDefault(storage) : null;
            nint identity = TensorContents.Identity(weight);
            if (shares.TryGetValue(identity, out WeightShare? share))
            {
                site.Share = share;
                share.Holders++;
            }
            else
            {
                shares.Add(identity, site.Share);
            }
        }
    }

    private void Meet(string name, nn.Module layer, List<ModuleSlot> slots)
    {
        if (!byLayer.TryGetValue(layer, out LayerSite? site))
        {
            site = new LayerSite(name, layer);
            byLayer.Add(layer, site);
            sites.Add(site);
        }
        else if (site.Name != name)
        {
            site.Aliases.Add(name);
        }

        site.Slots.AddRange(slots);
    }

    private static IEnumerable<FieldInfo> Fields(Type type)
    {
        for (Type? t = type; t is not null && t != typeof(nn.Module); t = t.BaseType)
        {
            bool isModuleBase = t.IsGenericType && t.Assembly == typeof(nn.Module).Assembly && t.DeclaringType == typeof(nn);
            foreach (FieldInfo field in isModuleBase ? [] : t.GetFields(DeclaredFields))
            {
                yield return field;
            }
        }
    }

    private static void Collect(
        nn.Module owner, FieldInfo field, Dictionary<nn.Module, string> names, Dictionary<nn.Module, List<ModuleSlot>> slots)
    {
        // A list inside TorchSharp's own containers is not part of the name: it is layers.0, not layers._list.0.
        string prefix = field.DeclaringType!.Assembly == typeof(nn.Module).Assembly ? string.Empty : CleanName(field.Name);
        switch (field.GetValue(owner))
        {
            case nn.Module child when child != owner:
                Add(child, CleanName(field.Name), new FieldSlot(owner, field));
                break;
            case IDictionary dictionary:
                Type valueType = Element(dictionary.GetType(), typeof(IDictionary<,>), 1);
                foreach (DictionaryEntry entry in dictionary)
                {
                    Add(entry.Value, Join(prefix, $"{entry.Key}"), new DictionarySlot(dictionary, entry.Key, valueType));
                }

                break;
            case IList list when list is not Array { Rank: > 1 }:
                CollectList(list, Element(list.GetType(), typeof(IList<>), 0));
                break;
        }

        void CollectList(IList list, Type elementType)
        {
            bool isNamed = elementType.IsGenericType && elementType.GetGenericTypeDefinition() == typeof(ValueTuple<,>)
                && typeof(nn.Module).IsAssignableFrom(elementType.GetGenericArguments()[1]);
            if (!isNamed && !elementType.IsInterface && !typeof(nn.Module).IsAssignableFrom(elementType)
                && !elementType.IsAssignableFrom(typeof(QuantizedLinear)))
            {
                return; // numbers, tensors, strings
            }

            for (int i = 0; i < list.Count; i++)
            {
                if (isNamed && list[i] is System.Runtime.CompilerServices.ITuple pair)
                {
                    Add(pair[1], (string)pair[0]!, new NamedListSlot(list, i, (string)pair[0]!, elementType));
                }
                else
                {
                    Add(list[i], Join(prefix, $"{i}"), new ListSlot(list, i, elementType));
                }
            }
        }

        void Add(object? value, string name, ModuleSlot slot)
        {
            if (value is nn.Module child && child != owner)
            {
                names.TryAdd(child, name);
                SlotsOf(slots, child).Add(slot);
            }
        }
    }

    private static Type Element(Type type, Type definition, int argument) =>
        type.GetInterfaces().FirstOrDefault(i => i.IsGenericType && i.GetGenericTypeDefinition() == definition)
            ?.GetGenericArguments()[argument] ?? typeof(object);

    private static List<ModuleSlot> SlotsOf(Dictionary<nn.Module, List<ModuleSlot>> slots, nn.Module child)
    {
        if (!slots.TryGetValue(child, out List<ModuleSlot>? found))
        {
            slots.Add(child, found = []);
        }

        return found;
    }

    /// <summary>Joins two parts of a name by a dot; an empty part adds none.</summary>
    public static string Join(string prefix, string name) =>
        prefix.Length == 0 ? name : name.Length == 0 ? prefix : $"{prefix}.{name}";
}
