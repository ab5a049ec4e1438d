using TorchAO.Kernels.Cuda;
using TorchAO.Runtime.Cuda;
using TorchAO.Runtime.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama.Cuda;

/// <summary>Where the numbers of a recorded decode step are; every launch of the graph knows these addresses.</summary>
internal sealed class GraphBuffers : IDisposable
{
    private readonly List<Tensor> owned = [];

    public GraphBuffers(LlamaConfig config, ScalarType dtype, CudaDevice device, int batch, int capacity)
    {
        var place = new Device(DeviceType.CUDA, device.Index);
        int queries = config.Heads * config.HeadSize, keys = config.KeyValueHeads * config.HeadSize;
        Hidden = Own(zeros([batch, config.HiddenSize], dtype: dtype, device: place));
        Projected = Own(zeros([batch, queries + (2 * keys)], dtype: dtype, device: place));
        Attended = Own(zeros([batch, queries], dtype: dtype, device: place));
        Gated = Own(zeros([batch, config.IntermediateSize], dtype: dtype, device: place));
        Logits = Own(zeros([batch, config.VocabSize], dtype: ScalarType.Float32, device: place));
        Best = Own(zeros([batch], dtype: ScalarType.Int64, device: place));
        Arrived = Own(zeros([1], dtype: ScalarType.Int32, device: place));

        // The host reads tokens where the device writes them: page-locked memory has one address for both. The last token of a full
        // cache stands behind it.
        using Tensor pageable = zeros([capacity + 1, batch], dtype: ScalarType.Int32);
        State = new CudaTokenState(
            Own(zeros([batch], dtype: ScalarType.Int32, device: place)),
            Own(zeros([1], dtype: ScalarType.Int32, device: place)),
            Own(Operator.Find("aten::pin_memory").Call(pageable.alias())));
        Shape = new CudaAttentionShape(config.Heads, config.KeyValueHeads, config.HeadSize, config.SlidingWindow, config.NormEpsilon);
        Scratch = CudaAttention.CreateScratch(device, Shape, batch);
    }

    /// <summary>Gets the residual stream <c>[B, hidden]</c>.</summary>
    public Tensor Hidden { get; }

    /// <summary>Gets queries, keys and values <c>[B, (H + 2 KV) · D]</c>.</summary>
    public Tensor Projected { get; }

    /// <summary>Gets the results of attention <c>[B, H · D]</c>.</summary>
    public Tensor Attended { get; }

    /// <summary>Gets what is between the feed-forward layers, <c>[B, inner]</c>.</summary>
    public Tensor Gated { get; }

    /// <summary>Gets the scores <c>[B, vocabulary]</c>, float32.</summary>
    public Tensor Logits { get; }

    /// <summary>Gets room for the choice of a token, <c>[B]</c>.</summary>
    public Tensor Best { get; }

    /// <summary>Gets a counter for the choice of a token.</summary>
    public Tensor Arrived { get; }

    /// <summary>Gets tokens and position.</summary>
    public CudaTokenState State { get; }

    /// <summary>Gets the sizes of attention.</summary>
    public CudaAttentionShape Shape { get; }

    /// <summary>Gets room for partial results of attention.</summary>
    public CudaAttentionScratch Scratch { get; }

    public void Dispose()
    {
        Scratch.Dispose();
        owned.ForEach(tensor => tensor.Dispose());
    }

    private Tensor Own(Tensor tensor)
    {
        owned.Add(tensor.DetachFromDisposeScope());
        return tensor;
    }
}
