using TorchAO.Lifecycle;
using TorchAO.Models.Llama;

namespace TorchAO.Cli;

/// <summary>A model as a command asked for it, and what quantizing it did.</summary>
/// <param name="Model">The model; owned by this object.</param>
/// <param name="Report">What became of each layer; <see langword="null"/> where nothing was quantized.</param>
internal sealed record LoadedModel(LlamaForCausalLM Model, QuantizeReport? Report) : IDisposable
{
    /// <summary>Gets the bytes of all weights.</summary>
    public long Bytes => Model.CountBytes();

    /// <summary>Gets the bytes that the weights had in floating point.</summary>
    public long BytesBefore => Report is null ? Bytes : Bytes - Report.BytesAfter + Report.BytesBefore;

    public void Dispose() => Model.Dispose();
}
