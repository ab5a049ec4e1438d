using TorchSharp;

namespace TorchAO.Models.Llama;

/// <summary>The shape of a decoder of the Llama family: Llama 2 and 3, Mistral, Qwen 2 and 3.</summary>
public sealed record LlamaConfig
{
    /// <summary>Gets the family: <c>llama</c>, <c>mistral</c>, <c>qwen2</c> or <c>qwen3</c>.</summary>
    public string ModelType { get; init; } = "llama";

    /// <summary>Gets the count of token ids.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Gets the width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Gets the width inside the feed-forward network.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Gets the count of layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Gets the count of linear layers: seven a layer, and the head where it has weights of its own.</summary>
    public int LinearLayers => (7 * Layers) + (IsTied ? 0 : 1);

    /// <summary>Gets the count of query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Gets the count of key and value heads, a divisor of <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Gets the width of a head.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Gets the longest sequence, in tokens.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Gets the epsilon of the norms.</summary>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>Gets the base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>Gets how rotary frequencies are stretched, or <see langword="null"/>.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>Gets how many tokens back attention reaches; <see langword="null"/> for all.</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>Gets whether the output head is the embedding.</summary>
    public bool IsTied { get; init; }

    /// <summary>Gets whether the query, key and value projections have biases (Qwen 2).</summary>
    public bool HasQueryKeyValueBias { get; init; }

    /// <summary>Gets whether the output projection of attention has a bias.</summary>
    public bool HasOutputBias { get; init; }

    /// <summary>Gets whether the feed-forward projections have biases.</summary>
    public bool HasMlpBias { get; init; }

    /// <summary>Gets whether queries and keys are normalized head by head (Qwen 3).</summary>
    public bool HasQueryKeyNorm { get; init; }

    /// <summary>Gets the id that begins a text; <see langword="null"/> where none does.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Gets the ids that end a text.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Gets the type of the weights in the checkpoint.</summary>
    public torch.ScalarType DType { get; init; } = torch.ScalarType.Float32;
}
