using TorchAO.Kernels;
using TorchAO.Modules;
using TorchAO.Primitives;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Lifecycle;

/// <summary>A layer of a model that may be quantized, and every place that holds it.</summary>
/// <param name="name">The first name under which the walk met the layer.</param>
/// <param name="layer">The layer: <see cref="Linear"/>, <see cref="Embedding"/>, <see cref="Convolution"/>, their quantized forms, or
/// a module with linear layers that libtorch keeps to itself.</param>
internal sealed class LayerSite(string name, nn.Module layer)
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
    public ModuleKinds Kind => layer switch
    {
        Embedding or QuantizedEmbedding => ModuleKinds.Embedding,
        Convolution or QuantizedConvolution => ModuleKinds.Convolution,
        _ => ModuleKinds.Linear,
    };

    /// <summary>Gets the weight of a linear layer or convolution, the table of an embedding; <see langword="null"/> for others.</summary>
    public Parameter? FloatWeight => layer switch
    {
        Linear linear => linear.weight,
        Embedding embedding => embedding.weight,
        Convolution convolution => convolution.weight,
        _ => null,
    };

    /// <summary>Gets the class that takes the layer's place when it is quantized.</summary>
    public Type QuantizedType => Kind switch
    {
        ModuleKinds.Embedding => typeof(QuantizedEmbedding),
        ModuleKinds.Convolution => typeof(QuantizedConvolution),
        _ => typeof(QuantizedLinear),
    };

    /// <summary>Gets the class that takes a quantized layer's place when it is dequantized.</summary>
    public Type FloatType => layer switch
    {
        QuantizedEmbedding => typeof(Embedding),
        QuantizedConvolution { Geometry.Dimensions: 1 } => typeof(Conv1d),
        QuantizedConvolution => typeof(Conv2d),
        _ => typeof(Linear),
    };

    /// <summary>Gets the executor of a layer that is quantized already, on either road.</summary>
    public LinearExecutor? Executor => layer switch
    {
        QuantizedModule quantized => quantized.Executor,
        Linear linear => InPlaceLinear.Find(linear),
        _ => null,
    };

    /// <summary>Says what an executor would run for a single row in this layer.</summary>
    public string ExplainKernel(LinearExecutor executor) =>
        ExplainKernel(executor.Activation, () => executor.Explain(1, executor.Weight.DType).ToString());

    /// <summary>Says what runs in this layer where a linear layer would run a kernel.</summary>
    /// <param name="activation">How activations are rounded, or <see langword="null"/>.</param>
    /// <param name="kernel">Names that kernel.</param>
    public string ExplainKernel(ActivationScheme? activation, Func<string> kernel) => layer switch
    {
        Embedding or QuantizedEmbedding => RowLookup,
        Convolution convolution => QuantizedConvolution.Explain(ConvolutionGeometry.Of(convolution), activation, kernel),
        QuantizedConvolution convolution => QuantizedConvolution.Explain(convolution.Geometry, activation, kernel),
        _ => kernel(),
    };

    /// <summary>Gets the shape <c>[N, K]</c> in which a format sees a weight: the kernels of a convolution are flattened.</summary>
    public static long[] RowShape(Tensor weight) => [weight.size(0), weight.numel() / Math.Max(weight.size(0), 1)];

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
