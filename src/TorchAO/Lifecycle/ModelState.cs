using System.Reflection;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchAO.Runtime.Memory;
using TorchAO.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>Everything of a model that a checkpoint holds, by name: the same names whichever road a layer took.</summary>
/// <remarks>
/// <c>state_dict</c> will not do: it misses modules in plain arrays and dictionaries, names automatic properties after their
/// fields, and shows placeholders for weights that were quantized in place.
/// </remarks>
internal sealed class ModelState
{
    private const string WeightName = "weight";

    // named_buffers leaves out which buffers are persistent.
    private static readonly FieldInfo Buffers = typeof(nn.Module).GetField(
        "_internal_buffers", BindingFlags.Instance | BindingFlags.NonPublic)
        ?? throw new MissingFieldException("TorchSharp's Module has no field _internal_buffers; use TorchSharp 0.107.");

    private ModelState(ModelTree tree)
    {
        Tree = tree;
        Entries =
        [
            .. tree.Modules.SelectMany(module => EntriesOf(module.Name, module.Module, null)),
            .. tree.Sites.SelectMany(site => EntriesOf(Prefix(site), site.Layer, site)),
        ];
        Quantized = [.. tree.Sites.Where(site => site.Executor is not null)];
    }

    /// <summary>Gets the layers and modules.</summary>
    public ModelTree Tree { get; }

    /// <summary>Gets all tensors but quantized weights.</summary>
    public IReadOnlyList<StateEntry> Entries { get; }

    /// <summary>Gets the quantized layers.</summary>
    public IReadOnlyList<LayerSite> Quantized { get; }

    /// <summary>Reads a model.</summary>
    public static ModelState Of(nn.Module model) => new(ModuleWalker.Explore(model));

    /// <summary>Gets the name of a layer's weight.</summary>
    public static string WeightOf(LayerSite site) => ModuleWalker.Join(Prefix(site), WeightName);

    /// <summary>Gets all names of a layer's weight: more than one where the layer is shared.</summary>
    public static IEnumerable<string> WeightNames(LayerSite site) =>
        [WeightOf(site), .. site.Aliases.Select(alias => ModuleWalker.Join(alias, WeightName))];

    /// <summary>Gets a layer's quantized weight.</summary>
    public static QuantizedTensor QuantizedWeight(LayerSite site) => site.Executor!.Weight;

    /// <summary>Gets how a quantized layer rounds activations, or <see langword="null"/>.</summary>
    public static ActivationScheme? Activation(LayerSite site) => site.Executor!.Activation;

    /// <summary>Gets the text of the config that made a layer's quantized weight, or <see langword="null"/>.</summary>
    public static string? Origin(LayerSite site) => site.Executor!.Origin;

    /// <summary>Joins entries that share one storage, in the order in which the walk met them.</summary>
    public static IReadOnlyList<IReadOnlyList<StateEntry>> Tied(IEnumerable<StateEntry> entries) =>
    [
        .. entries.GroupBy(entry => (
                Storage: ModuleWalker.StorageOf(entry.Value) ?? TensorContents.Identity(entry.Value),
                entry.Value.dtype,
                Shape: string.Join(',', entry.Value.shape)))
            .Select(group => group.ToArray()),
    ];

    private static string Prefix(LayerSite site) => site.Name == ModuleWalker.RootName ? string.Empty : site.Name;

    private static IEnumerable<StateEntry> EntriesOf(string prefix, nn.Module module, LayerSite? site)
    {
        bool isQuantized = site?.Executor is not null;
        foreach ((string name, Parameter parameter) in module.named_parameters(recurse: false))
        {
            bool isWeight = site?.Layer is Linear or Embedding or Convolution or QuantizedModule && name == WeightName;
            if (!(isQuantized && isWeight))
            {
                yield return new StateEntry(Full(name), parameter, module, true, isWeight ? site : null);
            }
        }

        // The buffers of a quantized layer are the components of its weight.
        foreach ((string name, (Tensor buffer, bool isPersistent)) in isQuantized ? [] : RegisteredBuffers(module))
        {
            yield return new StateEntry(Full(name), buffer, module, isPersistent, null);
        }

        string Full(string name) => ModuleWalker.Join(prefix, ModuleWalker.CleanName(name));
    }

    private static IEnumerable<(string Name, (Tensor Value, bool IsPersistent))> RegisteredBuffers(nn.Module module) =>
        (OrderedDict<string, (Tensor, bool)>)Buffers.GetValue(module)!;
}
