using TorchAO.Kernels.Fused;
using TorchAO.Models.Llama.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>A decoder of the Llama family with its head, as an ordinary TorchSharp module; names as in Hugging Face checkpoints.</summary>
/// <remarks>Linear layers and the embedding are held as <c>Module&lt;Tensor, Tensor&gt;</c>, so that quantizing swaps them.</remarks>
public sealed class LlamaForCausalLM : nn.Module<Tensor, Tensor>
{
    /// <summary>The path of the embedding table, for rules.</summary>
    public const string EmbeddingName = "model.embed_tokens";

    private readonly LlamaBody model;
    private readonly nn.Module<Tensor, Tensor>? lm_head;

    /// <summary>Creates the model with TorchSharp's usual random weights.</summary>
    /// <param name="config">The shape.</param>
    /// <param name="dtype">The type of weights and activations.</param>
    /// <param name="device">The device; <c>meta</c> allocates nothing until weights are loaded.</param>
    public LlamaForCausalLM(LlamaConfig config, ScalarType dtype = ScalarType.Float32, Device? device = null)
        : base(nameof(LlamaForCausalLM))
    {
        ArgumentNullException.ThrowIfNull(config);
        Config = config;
        model = new LlamaBody(config, dtype, device);
        lm_head = config.IsTied ? null : nn.Linear(config.HiddenSize, config.VocabSize, hasBias: false, device, dtype);
        RegisterComponents();
    }

    /// <summary>Gets the shape.</summary>
    public LlamaConfig Config { get; }

    /// <summary>Gets the device of the embedding, where ids must be.</summary>
    public Device Device => model.TableDevice;

    /// <summary>Gets the type of activations.</summary>
    public ScalarType DType => model.TableDType;

    /// <summary>Gets or sets whether steps of a few tokens run as fused kernels where nothing is against it.</summary>
    /// <value><see langword="true"/> by default; <see langword="false"/> runs every step module by module, for measurements and bug
    /// reports.</value>
    public bool UsesFusedDecode { get; set; } = true;

    /// <summary>Counts the bytes of weights that each new token reads: all but an embedding table that is not the head too.</summary>
    public long CountDecodeBytes() => this.CountBytes() - (Config.IsTied ? 0 : model.TableBytes);

    /// <summary>Says how a step behind a cache would run now: as fused kernels, or module by module and why.</summary>
    /// <remarks>On a GPU the first call for a cache records the graph of the step, as its first step would.</remarks>
    /// <param name="cache">The cache; there is none when the whole text is read at once.</param>
    /// <param name="tokens">How many new tokens of each sequence.</param>
    public DecodePath ExplainDecode(KeyValueCache? cache, int tokens = 1)
    {
        const int Most = CachedAttention.MaxRows;
        using DisposeScope scope = NewDisposeScope(); // TorchSharp gives a new object whenever a table is asked for
        return cache switch
        {
            _ when !UsesFusedDecode => new(DecodeObstacle.SwitchedOff, "UsesFusedDecode is off"),
            null => new(DecodeObstacle.NoCache, "there is no cache; pass one to decode token by token"),
            _ when (long)cache.Batch * tokens > Most =>
                new(DecodeObstacle.ManyTokens, $"{cache.Batch} · {tokens} new tokens, the kernels take {Most}"),
            _ when is_grad_enabled() => new(DecodeObstacle.Gradients, "gradients are recorded; run in inference_mode()"),
            _ when model.HasHooks => new(DecodeObstacle.Hook, "a norm or feed-forward network has a hook; remove it"),
            _ when Device.type == DeviceType.CUDA => ExplainGraph(cache, tokens),
            _ when Device.type != DeviceType.CPU => new(DecodeObstacle.Device, $"the kernels run on the CPU, not on {Device}"),
            _ when DType is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16) =>
                new(DecodeObstacle.Type, $"the kernels take Float32, BFloat16 or Float16, not {DType}"),
            _ when !IsCacheFit(cache) => OtherCache(cache),
            _ => DecodePath.Fused,
        };
    }

    /// <summary>Computes the scores of each next token.</summary>
    /// <param name="input">Token ids, int64 <c>[B, T]</c>.</param>
    /// <returns>Logits <c>[B, T, vocabulary]</c> in float32. The caller disposes them.</returns>
    public override Tensor forward(Tensor input) => Step(input, null);

    /// <summary>Computes the scores of each next token, behind what a cache holds, and adds the tokens to it.</summary>
    /// <param name="input">The new token ids, int64 <c>[B, T]</c>.</param>
    /// <param name="cache">What the model has seen; grows by T.</param>
    /// <param name="lastOnly">Whether only the scores behind the last token are wanted.</param>
    /// <returns>Logits <c>[B, T or 1, vocabulary]</c> in float32. The caller disposes them.</returns>
    /// <remarks>On the CPU, and where no gradient is recorded, a few tokens run as fused kernels: <see cref="ExplainDecode"/>,
    /// <see cref="KeyValueCache.LastStep"/>.</remarks>
    /// <exception cref="ArgumentOutOfRangeException">The sequence grows beyond the cache or the model's longest.</exception>
    public Tensor Step(Tensor input, KeyValueCache? cache, bool lastOnly = false)
    {
        ArgumentNullException.ThrowIfNull(input);
        long length = (cache?.Length ?? 0) + input.size(1);
        if (length > (cache?.Capacity ?? Config.MaxPositions))
        {
            throw new ArgumentOutOfRangeException(
                nameof(input),
                $"a sequence of {length} tokens, expected at most {cache?.Capacity ?? Config.MaxPositions}; " +
                "shorten the text or begin a new one.");
        }

        using DisposeScope scope = NewDisposeScope();
        if (cache is not null && Device.type == DeviceType.CUDA && input.size(0) == cache.Batch && input.size(1) == 1
            && Graph(cache) is { } graph)
        {
            cache.LastStep = graph.Path;
            Tensor scores = graph.Step(input, cache.Length);
            cache.Advance(1);
            return scores.MoveToOuterDisposeScope();
        }

        Tensor hidden = Hidden(input, cache, lastOnly);
        Tensor logits = lm_head is null ? model.Head(hidden) : lm_head.call(hidden);
        cache?.Advance(checked((int)input.size(1)));
        return logits.to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Gets the recorded step of a cache, or <see langword="null"/> where <see cref="ExplainDecode"/> says why there is none.</summary>
    internal DecodeGraph? Graph(KeyValueCache cache) => ExplainDecode(cache).IsFused ? cache.Graph : null;

    private bool IsCacheFit(KeyValueCache cache) =>
        cache.Device.type == Device.type && cache.Device.index == Device.index && cache.DType == DType && cache.Fits(Config);

    private DecodePath OtherCache(KeyValueCache cache) => new(
        DecodeObstacle.Cache,
        $"the cache is for {cache.DType} on {cache.Device}, the model is {DType} on {Device}, or their shapes differ; make it with " +
        "the model's config, dtype and device");

    private DecodePath ExplainGraph(KeyValueCache cache, int tokens) => cache switch
    {
        _ when tokens != 1 => new(DecodeObstacle.ManyTokens, $"{tokens} new tokens a sequence, the graph takes one"),
        _ when DType is not (ScalarType.BFloat16 or ScalarType.Float16) =>
            new(DecodeObstacle.Type, $"the graph computes in BFloat16 or Float16, not {DType}; load the model with that type"),
        _ when !IsCacheFit(cache) => OtherCache(cache),
        _ => cache.RecordGraph(model.Layers(lm_head), recorder => model.Record(recorder, cache, lm_head)) is { Length: > 0 } obstacle
            ? new(DecodeObstacle.Layer, obstacle)
            : cache.Graph!.Path,
    };

    private Tensor Hidden(Tensor input, KeyValueCache? cache, bool lastOnly)
    {
        if (cache is not null)
        {
            cache.LastStep = input.size(0) == cache.Batch && input.size(1) > 0
                ? ExplainDecode(cache, checked((int)input.size(1)))
                : new(DecodeObstacle.Cache, $"ids of {input.size(0)} sequences, the cache holds {cache.Batch}; or no new token");
            if (cache.LastStep.IsFused)
            {
                return model.Decode(input, cache, lastOnly);
            }
        }

        Tensor hidden = model.Forward(input, cache);
        return lastOnly ? hidden.narrow(1, hidden.size(1) - 1, 1) : hidden;
    }
}
