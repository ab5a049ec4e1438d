using System.Diagnostics;
using TorchAO.KvCache;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Cuda;
using TorchAO.Models.Text;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Generation;

/// <summary>Continues texts with a model, token by token; what it has read stays in a cache, so that a conversation goes on where it was.</summary>
/// <remarks>Owns the cache, neither model nor tokenizer. One stream at a time.</remarks>
public sealed class TextGenerator : IDisposable
{
    /// <summary>The longest sequence that is held by default; longer ones are asked for.</summary>
    public const int UsualCapacity = 4096;

    // Vocabularies of models are often padded beyond those of their tokenizers.
    private const string Unknown = "\uFFFD";

    private readonly LlamaForCausalLM model;
    private readonly Tokenizer tokenizer;
    private readonly KeyValueCache cache;
    private readonly long weightBytesPerToken;
    private readonly HashSet<int> ends;
    private readonly List<int> ids = []; // all of the conversation; those behind the cache's length wait to be read
    private readonly TokenChain chain;
    private TokenDecoder decoder;

    /// <summary>Creates a generator.</summary>
    /// <param name="model">The model, in evaluation mode; must outlive the generator.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="capacity">The longest sequence in tokens, prompt included; the model's longest, at most
    /// <see cref="UsualCapacity"/>, if absent. The cache is allocated at once.</param>
    /// <param name="cacheFormat">How the cache stores keys and values.</param>
    /// <exception cref="QuantizationException">The format does not fit the model.</exception>
    /// <exception cref="Checkpoints.CheckpointException">The tokenizer belongs to another model.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The capacity is beyond the model's longest sequence.</exception>
    public TextGenerator(
        LlamaForCausalLM model, Tokenizer tokenizer, int? capacity = null, KeyValueFormat cacheFormat = KeyValueFormat.Float)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        tokenizer.EnsureFits(model.Config.VocabSize);
        (this.model, this.tokenizer) = (model, tokenizer);
        cache = new KeyValueCache(
            model.Config, capacity: capacity ?? Math.Min(model.Config.MaxPositions, UsualCapacity), dtype: model.DType, device: model.Device,
            format: cacheFormat);
        weightBytesPerToken = model.CountDecodeBytes();
        ends = [.. model.Config.EosTokenIds, .. tokenizer.EosTokenIds];
        decoder = new TokenDecoder(tokenizer);
        chain = new TokenChain(model, cache);
    }

    /// <summary>Gets the longest sequence in tokens.</summary>
    public int Capacity => cache.Capacity;

    /// <summary>Gets the size of the cache in bytes, that of the longest sequence.</summary>
    public long CacheBytes => cache.Bytes;

    /// <summary>Gets the tokens of the conversation, prompts included.</summary>
    public IReadOnlyList<int> TokenIds => ids;

    /// <summary>Gets what the last stream took; grows while it runs.</summary>
    public GenerationStatistics Statistics { get; private set; } = new(0, 0, 0, 0, 0);

    /// <summary>Forgets the conversation.</summary>
    public void Reset()
    {
        cache.Truncate(0);
        ids.Clear();
        decoder = new TokenDecoder(tokenizer);
    }

    /// <summary>Continues the conversation: reads a text, then gives tokens as they come.</summary>
    /// <param name="text">The text; at the beginning of a conversation the tokenizer's first token goes before it.</param>
    /// <param name="options">How to sample and when to stop.</param>
    /// <param name="cancellation">Stops before the next token; the conversation stays usable.</param>
    /// <returns>A stream to be read once; the model works while it is read. At least one token, the last with its reason.</returns>
    /// <exception cref="ArgumentException">An option makes no sense, or there is nothing to continue.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The conversation does not fit <see cref="Capacity"/>.</exception>
    /// <exception cref="OperationCanceledException">The stream was stopped.</exception>
    public IEnumerable<GeneratedToken> Generate(string text, GenerationOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(text);
        options ??= new GenerationOptions();
        var sampler = new TokenSampler(options);
        IReadOnlyList<int> prompt = tokenizer.Encode(text, addBos: ids.Count == 0);
        if (ids.Count + prompt.Count == 0)
        {
            throw new ArgumentException("an empty text and no first token of the tokenizer; give a text to continue.", nameof(text));
        }

        if (ids.Count + prompt.Count > Capacity)
        {
            throw new ArgumentOutOfRangeException(
                nameof(text), $"a conversation of {ids.Count + prompt.Count} tokens, expected at most {Capacity}; shorten the text, call " +
                "Reset(), or create the generator with a larger capacity.");
        }

        return Stream(prompt, options, sampler, cancellation);
    }

    /// <summary>Continues the conversation and waits for the whole text.</summary>
    /// <inheritdoc cref="Generate"/>
    /// <returns>The new text.</returns>
    public string Complete(string text, GenerationOptions? options = null, CancellationToken cancellation = default) =>
        string.Concat(Generate(text, options, cancellation).Select(token => token.Text));

    /// <inheritdoc/>
    public void Dispose()
    {
        cache.Dispose(); // waits for a step that may still run
        chain.Dispose();
    }

    private IEnumerable<GeneratedToken> Stream(
        IReadOnlyList<int> prompt, GenerationOptions options, TokenSampler sampler, CancellationToken cancellation)
    {
        foreach (int id in prompt)
        {
            ids.Add(id);
            decoder.Add(id);
        }

        var filter = new StopTextFilter(options.StopTexts);
        HashSet<int> stops = [.. ends, .. options.StopTokenIds];
        int read = ids.Count - cache.Length;
        DecodePath path = ExplainDecode();
        double prefill = 0;
        double decode = 0;
        for (int count = 1; ; count++)
        {
            cancellation.ThrowIfCancellationRequested();
            long begin = Stopwatch.GetTimestamp();
            int id = Next(sampler);
            double took = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            (prefill, decode) = count == 1 ? (took, 0) : (prefill, decode + took);
            Statistics = new GenerationStatistics(read, count, prefill, decode, weightBytesPerToken)
            {
                CacheBytes = cache.Bytes,
                CacheBytesPerToken = cache.BytesPerToken,
                DecodePath = path,
            };
            if (stops.Contains(id))
            {
                yield return new GeneratedToken(id, filter.Flush(), FinishReason.EndOfText);
                yield break;
            }

            ids.Add(id);
            (string text, bool isStopped) = filter.Add(id < tokenizer.VocabSize ? decoder.Add(id) : Unknown);
            FinishReason? reason = isStopped ? FinishReason.StopText
                : count >= options.MaxNewTokens ? FinishReason.MaxNewTokens
                : ids.Count >= Capacity ? FinishReason.ContextLength
                : null;
            yield return new GeneratedToken(id, reason is null or FinishReason.StopText ? text : text + filter.Flush(), reason);
            if (reason is not null)
            {
                yield break;
            }
        }
    }

    private DecodePath ExplainDecode()
    {
        using IDisposable noGradient = inference_mode();
        return model.ExplainDecode(cache);
    }

    // Reads the ids that wait, and chooses the one behind them.
    private int Next(TokenSampler sampler)
    {
        using IDisposable noGradient = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        if (sampler.IsGreedy && cache.Length == ids.Count - 1 && chain.Next(ids[^1]) is { } likeliest)
        {
            return likeliest;
        }

        long[] waiting = [.. ids.Skip(cache.Length).Select(id => (long)id)];
        Tensor input = tensor(waiting, [1, waiting.Length], device: model.Device);
        Tensor logits = model.Step(input, cache, lastOnly: true).cpu();
        return sampler.Sample(TensorMemory.Span<float>(logits), ids);
    }
}
