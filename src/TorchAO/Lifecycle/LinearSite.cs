using TorchAO.Kernels;
using TorchAO.Modules;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>A linear layer or an embedding of a model and every place that holds it.</summary>
/// <param name="name">The first name under which the walk met the layer.</param>
/// <param name="layer">The layer: <see cref="Linear"/>, <see cref="Embedding"/>, their quantized forms, or a module with linear layers that
/// libtorch keeps to itself.</param>
internal sealed class LinearSite(string name, nn.Module layer)
{
    /// <summary>What reports say in place of a kernel for an embedding.</summary>
    public const string RowLookup = "rows are dequantized as they are looked up";

    public string Name => name;

    public nn.Module Layer => layer;

    /// <summary>Gets the further names of a shared layer.</summary>
    public List<string> Aliases { get; } = [];

    public List<ModuleSlot> Slots { get; } = [];

    /// <summary>Gets or sets the name of another module that keeps the same weight and is no linear layer.</summary>
    public string? TiedTo { get; set; }

    /// <summary>Gets or sets the count of linear layers that keep this layer's weight, one object for all.</summary>
    public WeightShare Share { get; set; } = new();

    public Linear? Linear => layer as Linear;

    /// <summary>Gets which kind the layer is of.</summary>
    public ModuleKinds Kind => layer is Embedding or QuantizedEmbedding ? ModuleKinds.Embedding : ModuleKinds.Linear;

    /// <summary>Gets the weight of a linear layer, the table of an embedding; <see langword="null"/> for other modules.</summary>
    public Parameter? FloatWeight => layer switch
    {
        Linear linear => linear.weight,
        Embedding embedding => embedding.weight,
        _ => null,
    };

    /// <summary>Gets the class that takes the layer's place when it is quantized.</summary>
    public Type QuantizedType => Kind == ModuleKinds.Embedding ? typeof(QuantizedEmbedding) : typeof(QuantizedLinear);

    /// <summary>Gets the class that takes a quantized layer's place when it is dequantized.</summary>
    public Type FloatType => Kind == ModuleKinds.Embedding ? typeof(Embedding) : typeof(Linear);

    /// <summary>Gets the executor of a layer that is quantized already, on either road.</summary>
    public LinearExecutor? Executor => layer switch
    {
        QuantizedLinear quantized => quantized.Executor,
        QuantizedEmbedding embedding => embedding.Executor,
        Linear linear => InPlaceLinear.Find(linear),
        _ => null,
    };

    /// <summary>Says what an executor would run for a single row in this layer.</summary>
    public string ExplainKernel(LinearExecutor executor) =>
        Kind == ModuleKinds.Embedding ? RowLookup : executor.Explain(1, executor.Weight.DType).ToString();

    /// <summary>Says why a module of another class cannot take the layer's place, or <see langword="null"/> if it can.</summary>
    public string? ReasonNotToSwap(Type module)
    {
        if (!Slots.Any(slot => slot is not RegistrySlot))
        {
            return Slots.Count == 0
                ? "the model is the layer, and nothing holds it"
                : "it is registered, but no field that the walk can reach holds it";
        }

        ModuleSlot? refusing = Slots.FirstOrDefault(slot => !slot.Admits(module));
        return refusing is null ? null : $"{refusing} admits no {module.Name}";
    }
}

/// <summary>Counts the linear layers whose floating-point weight is one object.</summary>
internal sealed class WeightShare
{
    public int Holders { get; set; } = 1;
}
