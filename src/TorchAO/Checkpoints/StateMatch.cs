using TorchAO.Lifecycle;
using TorchAO.Runtime.Libtorch;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>Finds for each parameter and buffer of a model the tensor of a checkpoint, before anything is changed.</summary>
internal sealed class StateMatch
{
    private const string Remedy = "The checkpoint belongs to another model: build the model from the checkpoint's own configuration.";

    private readonly string path;
    private readonly IReadOnlyCollection<string> names;
    private readonly IReadOnlyDictionary<string, string> tied;
    private readonly Func<string, TensorInfo> describe;
    private readonly bool convertsFloats;
    private readonly HashSet<string> used = new(StringComparer.Ordinal);

    /// <summary>Begins a comparison.</summary>
    /// <param name="path">The checkpoint, for messages.</param>
    /// <param name="names">The tensors of the checkpoint.</param>
    /// <param name="tied">Further names of tensors of the checkpoint.</param>
    /// <param name="describe">Describes a tensor of the checkpoint.</param>
    /// <param name="convertsFloats">Whether floating-point tensors may have another type than the model.</param>
    public StateMatch(
        string path,
        IEnumerable<string> names,
        IReadOnlyDictionary<string, string> tied,
        Func<string, TensorInfo> describe,
        bool convertsFloats)
    {
        this.path = path;
        this.names = names.ToHashSet(StringComparer.Ordinal);
        this.tied = tied;
        this.describe = describe;
        this.convertsFloats = convertsFloats;
    }

    /// <summary>Finds the tensor of a group of entries that share one storage.</summary>
    /// <param name="group">The entries.</param>
    /// <param name="of">The entry that is to be filled, one of the group.</param>
    /// <exception cref="CheckpointException">There is none or more than one, or it has another shape or type.</exception>
    public string Find(IReadOnlyList<StateEntry> group, StateEntry of)
    {
        string[] found = [.. group.OrderByDescending(entry => entry == of).Select(entry => Resolve(entry.Name)).OfType<string>().Distinct()];
        if (found.Length == 0)
        {
            throw new CheckpointException(
                CheckpointError.TensorNotFound, path, "the checkpoint lacks a tensor of the model",
                $"no {CheckpointException.Quote(of.Name)}", $"one; near: {NearNames.List(of.Name, names)}", Remedy);
        }

        TensorInfo info = describe(found[0]);
        used.UnionWith(found);
        RequireFits(of, info);
        return found[0];
    }

    /// <summary>Matches all entries that are not quantized.</summary>
    /// <param name="state">The model.</param>
    /// <param name="quantized">The layers whose weight comes in another way.</param>
    /// <returns>For each storage the entries that share it, and the tensor that fills it.</returns>
    /// <exception cref="CheckpointException">A tensor is missing, of another shape or type, or more than one for one place.</exception>
    public IReadOnlyList<(IReadOnlyList<StateEntry> Places, string Tensor)> Match(ModelState state, IReadOnlySet<LayerSite> quantized)
    {
        var matched = new List<(IReadOnlyList<StateEntry>, string)>();
        IEnumerable<StateEntry> entries = state.Entries.Where(entry => entry.Site is null || !quantized.Contains(entry.Site));
        foreach (IReadOnlyList<StateEntry> group in ModelState.Tied(entries))
        {
            StateEntry[] stored = [.. group.Where(entry => entry.IsPersistent)];
            if (stored.Length == 0)
            {
                RequireValues(group[0]);
                continue;
            }

            Array.ForEach(stored, RequireFillable);
            string[] found = [.. stored.Select(entry => Resolve(entry.Name)).OfType<string>().Distinct()];
            if (found.Length > 1)
            {
                throw new CheckpointException(
                    CheckpointError.TieMismatch, $"{path}: {CheckpointException.Quote(found[1])}",
                    $"the model has one tensor for {string.Join(" and ", stored.Select(entry => entry.Name))}",
                    $"{found.Length} tensors", "one", Remedy);
            }

            matched.Add((stored, Find(stored, stored[0])));
        }

        return matched;
    }

    /// <summary>Demands that every tensor of the checkpoint was asked for.</summary>
    public void RequireAllUsed()
    {
        if (names.FirstOrDefault(name => !used.Contains(name)) is { } surplus)
        {
            throw new CheckpointException(
                CheckpointError.UnexpectedTensor, $"{path}: tensor {CheckpointException.Quote(surplus)}",
                "the model has no place for a tensor", "a tensor more", $"the {used.Count} of the model", Remedy);
        }
    }

    private string? Resolve(string name) =>
        names.Contains(name) ? name : tied.TryGetValue(name, out string? target) ? target : null;

    private void RequireFits(StateEntry entry, TensorInfo info)
    {
        string where = $"{path}: tensor {CheckpointException.Quote(info.Name)}";
        if (!info.Shape.SequenceEqual(entry.Value.shape))
        {
            throw new CheckpointException(
                CheckpointError.ShapeMismatch, where, $"a tensor does not fit {entry.Name}",
                $"[{string.Join(", ", info.Shape)}]", $"[{string.Join(", ", entry.Value.shape)}]", Remedy);
        }

        ScalarType wanted = entry.Value.dtype;
        if (info.DType != wanted && !(convertsFloats && IsWide(info.DType) && IsWide(wanted)))
        {
            throw new CheckpointException(
                CheckpointError.DTypeMismatch, where, $"a tensor has another type than {entry.Name}",
                ScalarTypes.NameOf(info.DType), convertsFloats && IsWide(wanted) ? "F32, BF16, F16 or F64" : ScalarTypes.NameOf(wanted),
                "Build the model in the checkpoint's type, for instance with model.to(dtype) before loading.");
        }
    }

    private void RequireValues(StateEntry entry)
    {
        if (entry.IsMeta)
        {
            throw new CheckpointException(
                CheckpointError.NoValues, $"{path}: {CheckpointException.Quote(entry.Name)}",
                "a buffer that checkpoints do not hold is on the meta device", "no values",
                "values that the model computes itself", "Build the model on a real device, or register the buffer as persistent.");
        }
    }

    private void RequireFillable(StateEntry entry)
    {
        if (entry.IsMeta && NativeModules.IsClosed(entry.Module))
        {
            throw new CheckpointException(
                CheckpointError.NoValues, $"{path}: {CheckpointException.Quote(entry.Name)}",
                $"libtorch keeps the parameters of a {entry.Module.GetType().Name} to itself", "a module on the meta device",
                "one on a real device", "Build this module on the CPU; the others may stay on meta.");
        }
    }

    // Float8 has no arithmetic: its values mean something by their scales alone, and are never weights here.
    private static bool IsWide(ScalarType type) =>
        type is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64;
}
