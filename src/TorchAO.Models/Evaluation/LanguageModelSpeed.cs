using System.Diagnostics;
using TorchAO.KvCache;
using TorchAO.Models.Llama;
using TorchAO.Models.Llama.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Evaluation;

/// <summary>Times how fast a model reads prompts and gives tokens; which tokens they are makes no difference to the time.</summary>
/// <remarks>Owns a cache, not the model. To compare models, call one of each in turns and take medians. Not thread-safe.</remarks>
public sealed class LanguageModelSpeed : IDisposable
{
    private const int IdStride = 7919; // a prime, so that ids come from all over the vocabulary

    private readonly LlamaForCausalLM model;
    private readonly KeyValueCache cache;
    private readonly TokenChain chain;
    private readonly int promptTokens;

    /// <summary>Creates the cache.</summary>
    /// <param name="model">The model, in evaluation mode; must outlive this object.</param>
    /// <param name="promptTokens">The length of a prompt, at least 1.</param>
    /// <param name="newTokens">The most tokens that follow a prompt, 0 or more.</param>
    /// <param name="cacheFormat">How the cache stores keys and values.</param>
    /// <exception cref="ArgumentOutOfRangeException">A count makes no sense, or both together are beyond the model's longest sequence.</exception>
    /// <exception cref="QuantizationException">The format does not fit the model.</exception>
    public LanguageModelSpeed(
        LlamaForCausalLM model, int promptTokens, int newTokens, KeyValueFormat cacheFormat = KeyValueFormat.Float)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(promptTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(newTokens);
        int length = checked(promptTokens + newTokens);
        if (length > model.Config.MaxPositions)
        {
            throw new ArgumentOutOfRangeException(
                nameof(promptTokens), $"a prompt of {promptTokens} tokens and {newTokens} new ones, expected at most " +
                $"{model.Config.MaxPositions} together, the model's longest sequence; take fewer.");
        }

        this.model = model;
        this.promptTokens = promptTokens;
        NewTokens = newTokens;
        cache = new KeyValueCache(model.Config, capacity: length, dtype: model.DType, device: model.Device, format: cacheFormat);
        chain = new TokenChain(model, cache);
    }

    /// <summary>Gets how many tokens <see cref="Decode"/> gives.</summary>
    public int NewTokens { get; }

    /// <summary>Gets how the last step ran; <see langword="null"/> before the first.</summary>
    public DecodePath? LastStep => cache.LastStep;

    /// <summary>Gets the id that stands at a position of every prompt and of what follows.</summary>
    /// <param name="position">The position, from 0.</param>
    /// <param name="shape">The shape of the model.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative position.</exception>
    public static int TokenAt(int position, LlamaConfig shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        return (int)((long)position * IdStride % shape.VocabSize);
    }

    /// <summary>Reads the prompt into an empty cache, once.</summary>
    /// <returns>The time until the scores of the first new token are there.</returns>
    public TimeSpan Prefill()
    {
        cache.Truncate(0);
        return Time(0, promptTokens);
    }

    /// <summary>Reads the prompt into an empty cache and gives one token behind it. At the first call that includes all that a model
    /// does once, such as compiling kernels.</summary>
    /// <returns>The time until the token is there.</returns>
    public TimeSpan FirstToken()
    {
        TimeSpan prompt = Prefill();
        return NewTokens == 0 ? prompt : prompt + Time(promptTokens, 1);
    }

    /// <summary>Gives <see cref="NewTokens"/> tokens behind the prompt, one step each, without choosing them.</summary>
    /// <returns>The time of all steps together; that of the prompt, where the cache has none yet, does not count.</returns>
    public TimeSpan Decode()
    {
        if (cache.Length < promptTokens)
        {
            Prefill();
        }

        cache.Truncate(promptTokens);
        if (NewTokens > 0 && DecodeOnDevice() is { } chained)
        {
            return chained;
        }

        TimeSpan took = TimeSpan.Zero;
        for (int position = promptTokens; position < promptTokens + NewTokens; position++)
        {
            took += Time(position, 1);
        }

        return took;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        cache.Dispose(); // waits for a step that may still run
        chain.Dispose();
    }

    // Where a graph can run, tokens are chosen too; nothing else is timed.
    private TimeSpan? DecodeOnDevice()
    {
        using IDisposable noGradient = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        int token = TokenAt(promptTokens, model.Config);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < NewTokens; i++)
        {
            if (chain.Next(token) is not { } next)
            {
                return null;
            }

            token = next;
        }

        return Stopwatch.GetElapsedTime(start);
    }

    // Scores are copied to the host, as sampling does; on a GPU that waits for the step to end.
    private TimeSpan Time(int position, int count)
    {
        using IDisposable noGradient = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        long[] ids = [.. Enumerable.Range(position, count).Select(at => (long)TokenAt(at, model.Config))];
        Tensor input = tensor(ids, [1, count], device: model.Device);
        long start = Stopwatch.GetTimestamp();
        model.Step(input, cache, lastOnly: true).cpu();
        return Stopwatch.GetElapsedTime(start);
    }
}
