using TorchAO.Kernels.Fused;
using TorchAO.KvCache;
using TorchAO.Models.Llama.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Models.Llama;

/// <summary>The keys and values of the tokens that a model has seen, so that each further token costs one step.</summary>
/// <remarks>
/// Owns its tensors, which are as large as the longest sequence from the beginning, and the scratch space of decode steps: one step at a
/// time. In a quantized format the new tokens of a step meet each other as they were computed: only later steps see them rounded, as in
/// torchao's <c>AffineQuantizedKVCache</c>. Fused steps read the codes; others decode the rows of one layer at a time.
/// </remarks>
public sealed class KeyValueCache : IDisposable
{
    private readonly KeyValueCodec codec;
    private readonly Tensor[][] keys;
    private readonly Tensor[][] values;
    private readonly LlamaConfig config;
    private (StoredRows Keys, StoredRows Values)[]? rows;
    private DecodeBuffers? buffers;
    private object[]? graphLayers;
    private string graphObstacle = string.Empty;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="batch">How many sequences run side by side.</param>
    /// <param name="capacity">The longest sequence in tokens; the model's longest if absent.</param>
    /// <param name="dtype">The type of keys and values: that of the model's activations.</param>
    /// <param name="device">The device of the model.</param>
    /// <param name="format">How they are stored.</param>
    /// <exception cref="ArgumentOutOfRangeException">The capacity is beyond the model's longest sequence.</exception>
    /// <exception cref="QuantizationException">The format does not fit the size of the model's heads.</exception>
    public KeyValueCache(
        LlamaConfig config, long batch = 1, int? capacity = null, ScalarType dtype = ScalarType.Float32, Device? device = null,
        KeyValueFormat format = KeyValueFormat.Float)
    {
        ArgumentNullException.ThrowIfNull(config);
        Capacity = capacity ?? config.MaxPositions;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Capacity, config.MaxPositions, nameof(capacity));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        Format = format;
        this.config = config;
        (Batch, DType, Device) = (checked((int)batch), dtype, device ?? CPU);
        codec = KeyValueCodec.Of(format, config.HeadSize);

        // The components of one token say what those of all are like.
        using DisposeScope scope = NewDisposeScope();
        IReadOnlyList<Tensor> sample = codec.Encode(zeros([batch, config.KeyValueHeads, 1, config.HeadSize], dtype: dtype, device: device));
        Tensor[][] Make() => [.. Enumerable.Range(0, config.Layers).Select(_ => sample.Select(one => zeros(
            [batch, config.KeyValueHeads, Capacity, one.size(3)], dtype: one.dtype, device: device).DetachFromDisposeScope()).ToArray())];
        keys = Make();
        values = Make();
    }

    /// <summary>Gets how keys and values are stored.</summary>
    public KeyValueFormat Format { get; }

    /// <summary>Gets how the last step that added tokens ran; <see langword="null"/> before the first.</summary>
    public DecodePath? LastStep { get; internal set; }

    /// <summary>Gets the longest sequence in tokens.</summary>
    public int Capacity { get; }

    /// <summary>Gets how many tokens are in the cache.</summary>
    public int Length { get; private set; }

    /// <summary>Gets the size of all keys and values in bytes.</summary>
    public long Bytes => All.Sum(tensor => tensor.numel() * tensor.element_size());

    /// <summary>Gets the bytes that one token takes in all layers.</summary>
    public long BytesPerToken => Bytes / Capacity;

    /// <summary>Gets how many sequences run side by side.</summary>
    internal int Batch { get; }

    /// <summary>Gets the type of keys and values as the model computes them.</summary>
    internal ScalarType DType { get; }

    /// <summary>Gets where they are.</summary>
    internal Device Device { get; }

    private IEnumerable<Tensor> All => keys.Concat(values).SelectMany(components => components);

    /// <summary>Forgets the tokens behind a length.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        buffers?.Dispose();
        Graph?.Dispose();
        foreach (Tensor tensor in All)
        {
            tensor.Dispose();
        }
    }

    /// <summary>Writes the keys and values <c>[B, KV, T, D]</c> of new tokens, and gets those of the last tokens, the new ones included.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="newKeys">The keys of the new tokens.</param>
    /// <param name="newValues">Their values.</param>
    /// <param name="visible">How many of the last tokens are wanted; all if absent.</param>
    /// <returns>Keys and values <c>[B, KV, at most Length + T, D]</c>; views where the cache stores them as they are. The caller
    /// disposes them.</returns>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor newKeys, Tensor newValues, long? visible = null) =>
        (Append(keys[layer], newKeys, visible), Append(values[layer], newValues, visible));

    /// <summary>Gets what is stored of a layer, one component for codes and one or two for their parameters.</summary>
    internal (IReadOnlyList<Tensor> Keys, IReadOnlyList<Tensor> Values) Stored(int layer) => (keys[layer], values[layer]);

    /// <summary>Gets what is stored of a layer, for kernels on the CPU.</summary>
    internal (StoredRows Keys, StoredRows Values) Rows(int layer)
    {
        rows ??= [.. keys.Zip(values, (k, v) => (codec.Rows(k, DType), codec.Rows(v, DType)))];
        return rows[layer];
    }

    /// <summary>Gets the recorded step; <see langword="null"/> where none was, or could be.</summary>
    internal DecodeGraph? Graph { get; private set; }

    /// <summary>Records a step of a model over this cache, unless the last record is still of the same layers.</summary>
    /// <param name="layers">The layers whose weights the step reads.</param>
    /// <param name="model">Adds the launches of the step.</param>
    /// <returns>Why there is no graph; empty where there is one.</returns>
    internal string RecordGraph(IEnumerable<object> layers, Action<DecodeRecorder> model)
    {
        object[] now = [.. layers];
        if (graphLayers is null || !graphLayers.SequenceEqual(now, ReferenceEqualityComparer.Instance))
        {
            Graph?.Dispose();
            (Graph, graphLayers) = (null, null); // recording may fail
            Graph = DecodeGraph.Record(model, config, this, out graphObstacle);
            graphLayers = now;
        }

        return graphObstacle;
    }

    /// <summary>Gets room for a decode step of some new tokens, that of the last step where it was as large.</summary>
    internal DecodeBuffers Buffers(int count)
    {
        if (buffers is null || buffers.Count != count)
        {
            buffers?.Dispose();
            buffers = new DecodeBuffers(config, DType, Batch, count);
        }

        return buffers;
    }

    /// <summary>Tells whether keys and values of a model fit.</summary>
    internal bool Fits(LlamaConfig other)
    {
        return Sizes(config) == Sizes(other);

        static (int, int, int, int, int, int) Sizes(LlamaConfig model) =>
            (model.Layers, model.HeadSize, model.KeyValueHeads, model.Heads, model.HiddenSize, model.IntermediateSize);
    }

    /// <summary>Counts the tokens that all layers have appended.</summary>
    internal void Advance(int count) => Length += count;

    private Tensor Append(Tensor[] stored, Tensor rows, long? visible)
    {
        using DisposeScope scope = NewDisposeScope();
        long count = rows.size(2);
        foreach ((Tensor component, Tensor encoded) in stored.Zip(codec.Encode(rows)))
        {
            component.narrow(2, Length, count).copy_(encoded);
        }

        long past = Math.Clamp((visible ?? long.MaxValue) - count, 0, Length);
        if (Format == KeyValueFormat.Float)
        {
            return stored[0].narrow(2, Length - past, past + count).MoveToOuterDisposeScope();
        }

        if (past == 0)
        {
            return rows.alias().MoveToOuterDisposeScope();
        }

        Tensor before = codec.Decode([.. stored.Select(component => component.narrow(2, Length - past, past))], rows.dtype);
        return cat([before, rows], 2).MoveToOuterDisposeScope();
    }
}
