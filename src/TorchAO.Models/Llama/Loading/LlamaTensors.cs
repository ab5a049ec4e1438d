using TorchAO.Checkpoints;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Loading;

/// <summary>The tensors of a checkpoint that a Llama model reads: without what older exports carry along and nobody needs.</summary>
internal sealed class LlamaTensors : ITensorSource
{
    private static readonly string[] Ignored = ["rotary_emb.inv_freq", "masked_bias", "attn.bias"];

    private readonly ITensorSource source;
    private readonly Dictionary<string, TensorInfo> kept;

    /// <summary>Looks through a checkpoint, which it owns from then on.</summary>
    public LlamaTensors(ITensorSource source, LlamaConfig config)
    {
        this.source = source;
        kept = source.Tensors.Where(tensor => !IsIgnored(tensor.Name, config)).ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    public string Path => source.Path;

    public IReadOnlyList<TensorInfo> Tensors => [.. kept.Values];

    public bool Contains(string name) => kept.ContainsKey(name);

    public TensorInfo Describe(string name) => kept.TryGetValue(name, out TensorInfo? info) ? info : source.Describe(name);

    public Tensor Read(string name) => source.Read(name);

    public void Dispose() => source.Dispose();

    // A tied head may stand in the file a second time.
    private static bool IsIgnored(string name, LlamaConfig config) => (name == "lm_head.weight" && config.IsTied)
        || Ignored.Any(end => name.EndsWith(end, StringComparison.Ordinal));
}
