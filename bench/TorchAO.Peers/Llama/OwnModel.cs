using TorchAO.Models.Evaluation;
using TorchAO.Models.Llama;
using TorchAO.Runtime.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Peers.Llama;

/// <summary>A model of this library.</summary>
internal sealed class OwnModel(string name, int bits, LlamaForCausalLM model, int promptTokens, int newTokens) : ILanguageModel
{
    private readonly LanguageModelSpeed speed = new(model, promptTokens, newTokens);

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public int Bits { get; } = bits;

    /// <inheritdoc/>
    public long BytesPerToken { get; } = model.CountDecodeBytes();

    /// <inheritdoc/>
    public void Wake()
    {
    }

    /// <inheritdoc/>
    public void Rest()
    {
    }

    /// <inheritdoc/>
    public TimeSpan Prefill() => speed.Prefill();

    /// <inheritdoc/>
    public TimeSpan Decode() => speed.Decode();

    /// <inheritdoc/>
    public float[] Scores()
    {
        using IDisposable noGradient = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        long[] ids = [.. Enumerable.Range(0, promptTokens).Select(at => LanguageModelSpeed.TokenAt(at, model.Config))];
        Tensor scores = model.forward(tensor(ids, [1, promptTokens]));
        return TensorMemory.ReadOnlySpan<float>(scores.narrow(1, promptTokens - 1, 1).contiguous()).ToArray();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        speed.Dispose();
        model.Dispose();
    }
}
