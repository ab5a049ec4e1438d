namespace TorchAO.Models.Llama;

/// <summary>The shapes of well-known models, for models of random weights: speed depends on the shape alone.</summary>
public static class LlamaShapes
{
    private static readonly Dictionary<string, LlamaConfig> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        ["260k"] = Story(64, 172, layers: 5, heads: 8, vocabulary: 512, positions: 512) with { KeyValueHeads = 4 },
        ["15m"] = Story(288, 768, layers: 6, heads: 6, vocabulary: 32_000, positions: 256),
        ["42m"] = Story(512, 1376, layers: 8, heads: 8, vocabulary: 32_000, positions: 1024),
        ["110m"] = Story(768, 2048, layers: 12, heads: 12, vocabulary: 32_000, positions: 1024),
        ["1b"] = Llama3(2048, 8192, layers: 16, heads: 32) with { IsTied = true },
        ["3b"] = Llama3(3072, 8192, layers: 28, heads: 24) with { IsTied = true },
        ["7b"] = Shape(4096, 11_008, layers: 32, heads: 32, vocabulary: 32_000, positions: 4096),
        ["8b"] = Llama3(4096, 14_336, layers: 32, heads: 32),
    };

    /// <summary>Gets the names, from small to large: the story models <c>260k</c>, <c>15m</c>, <c>42m</c> and <c>110m</c>, Llama 3.2
    /// <c>1b</c> and <c>3b</c>, Llama 2 <c>7b</c>, Llama 3.1 <c>8b</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Known.Keys];

    /// <summary>Finds a shape.</summary>
    /// <param name="name">One of <see cref="Names"/>, in any case.</param>
    /// <exception cref="ArgumentException">There is no shape of the name.</exception>
    public static LlamaConfig Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Known.TryGetValue(name, out LlamaConfig? shape) ? shape : throw new ArgumentException(
            $"no shape is called '{name}', expected one of {string.Join(", ", Names)}.", nameof(name));
    }

    private static LlamaConfig Story(int hidden, int inner, int layers, int heads, int vocabulary, int positions) =>
        Shape(hidden, inner, layers, heads, vocabulary, positions) with { IsTied = true };

    private static LlamaConfig Llama3(int hidden, int inner, int layers, int heads) =>
        Shape(hidden, inner, layers, heads, vocabulary: 128_256, positions: 8192) with { KeyValueHeads = 8, RopeTheta = 500_000 };

    private static LlamaConfig Shape(int hidden, int inner, int layers, int heads, int vocabulary, int positions) => new()
    {
        VocabSize = vocabulary,
        HiddenSize = hidden,
        IntermediateSize = inner,
        Layers = layers,
        Heads = heads,
        KeyValueHeads = heads,
        HeadSize = hidden / heads,
        MaxPositions = positions,
    };
}
