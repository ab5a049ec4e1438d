using TorchAO.Kernels;
using TorchAO.Modules;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>A linear layer of a model and every place that holds it.</summary>
/// <param name="name">The first name under which the walk met the layer.</param>
/// <param name="layer">The layer: <see cref="Linear"/>, <see cref="QuantizedLinear"/>, or a module with linear layers that
/// libtorch keeps to itself.</param>
internal sealed class LinearSite(string name, nn.Module layer)
{
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

    /// <summary>Gets the executor of a layer that is quantized already, on either road.</summary>
    public LinearExecutor? Executor => layer switch
    {
        QuantizedLinear quantized => quantized.Executor,
        Linear linear => InPlaceLinear.Find(linear),
        _ => null,
    };

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
